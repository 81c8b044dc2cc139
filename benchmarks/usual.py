"""How fast analysing and cutting is on models as people use them: ours beside Torch-Pruning.

    python -m benchmarks.usual [--only PATTERN] [--again] [--limit N] [--time S] [--out DIR] [--write FILE]

Every model runs in a process of its own, on one thread, both tools in turn, five times each; a model counts where both
cut it and what they cut runs. Results land as JSON lines in DIR (default runs/usual); a second call goes on where the
first stopped. `--write FILE` makes the page. Whole networks on images of their usual size; language models of their
usual width with two layers, on 128 tokens.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks._summary import machine
from benchmarks.libraries import USUAL
from benchmarks.prunability import ROOT, Results, commit, measure

Row = Mapping[str, Any]

_TOOLS = ("ours", "theirs")
_MOST_KEPT = 0.95
"""Share of the parameters: a tool that leaves more cuts next to nothing."""
_TEXT = """\
# How fast analysing and cutting is on usual models

`python -m benchmarks.usual --write docs/results/usual.md`, with `torch-pruning==1.6.1` importable. Commit {commits}.
{machine}

Every model runs in a process of its own on one thread; both tools alternate, after another model in the process that
does not count. Half of the units of every axis go. Ours is trace + score + select + cut in place, without the proof;
theirs is building the dependency graph + step, with the layers whose outputs are the model's outputs ignored. Medians
in milliseconds of the working thread (`time.thread_time`). A model counts where both tools cut it and a forward pass of
what they cut ends without an error; whether theirs is right is not asked here. *kept* is the share of parameters left;
a tool that leaves more than 95 % has cut next to nothing, and the model does not count.

"""


def compared(rows: Sequence[Row]) -> dict[str, float]:
    """Theirs over ours, by model, where both cut and what they cut runs."""
    ended = [row for row in rows if row["stage"] == "done"]
    done = [row for row in ended if all(row[f"{tool}_kept"] < _MOST_KEPT * row["params"] for tool in _TOOLS)]
    return {row["name"]: statistics.median(row["theirs"]) / statistics.median(row["ours"]) for row in done}


def figures(ratios: Mapping[str, float]) -> list[str]:
    """Claims, of all libraries and of each."""
    lines = [
        "| library | models | ours is faster on | times as fast, geometric mean | least | median |",
        "|" + "---|" * 6,
    ]
    groups = {"all": list(ratios.values())}
    for name, ratio in ratios.items():
        groups.setdefault(name.partition("/")[0], []).append(ratio)
    for library, own in groups.items():
        faster, mean = sum(ratio > 1 for ratio in own), statistics.geometric_mean(own)
        share = f"{faster} ({faster / len(own):.0%})"
        lines.append(
            f"| {library} | {len(own)} | {share} | {mean:.2f} | {min(own):.2f} | {statistics.median(own):.2f} |"
        )
    return lines


def page(rows: Sequence[Row]) -> str:
    """Markdown."""
    ratios = compared(rows)
    lines = figures(ratios) if ratios else []
    lines += ["", "| model | parameters | ours | kept | Torch-Pruning | kept | theirs / ours |", "|" + "---|" * 7]
    for row in sorted(rows, key=lambda row: str(row["name"])):
        if row["name"] in ratios:
            shown = [
                f"{statistics.median(row[tool]) * 1000:,.1f} | {row[f'{tool}_kept'] / row['params']:.0%}"
                for tool in _TOOLS
            ]
            lines.append(f"| {row['name']} | {row['params']:,} | {' | '.join(shown)} | {ratios[row['name']]:.2f} |")
    failed = [row for row in rows if row["name"] not in ratios]
    lines += ["", "## Not counted", ""] if failed else []
    lines += [f"- {row['name']}, {row['stage']}: {_why(row)}" for row in failed]
    commits = ", ".join(sorted({str(row.get("commit")) for row in rows}))
    return _TEXT.format(commits=commits, machine=machine()) + "\n".join(lines) + "\n"


def _why(row: Row) -> str:
    if "failed" in row:
        return " ".join(row["failed"].split())[:160]
    return ", ".join(f"{tool} keeps {row[f'{tool}_kept'] / row['params']:.0%}" for tool in _TOOLS)


def main() -> None:
    """Measure what is missing, one model at a time; write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="names of models, like timm/vit*")
    parser.add_argument("--limit", type=int, help="at most this many models")
    parser.add_argument("--again", action="store_true", help="also what has a result")
    parser.add_argument("--time", type=float, default=300, help="seconds for one model")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "usual")
    parser.add_argument("--write", type=Path, help="write the page of all results here; with --limit 0 nothing else")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results, where = Results(path=options.out / "results.jsonl"), commit()
    done = results.rows()
    names = [name for name in USUAL if any(fnmatch(name, pattern) for pattern in options.only)]
    for name in [name for name in names if find_spec(name.partition("/")[0])][: options.limit]:
        if options.again or (name, "both") not in done:
            row = measure(name, "both", options.time)
            seconds = statistics.median(row["ours"]) if row.get("ours") else 0.0
            results.add({**row, "seconds": seconds, "commit": where})
    if options.write:
        options.write.write_text(page(list(results.rows().values())))


if __name__ == "__main__":
    main()
