"""The page of the results: what was run, the figures that are claimed, every model, and everything that failed."""

import os
import platform
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.libraries import MODELS

__all__ = ["machine", "page"]

Row = dict[str, Any]

_MUCH_KEPT = 0.6
_PACKAGES = ("torch", "torchvision", "timm", "transformers", "torch-pruning")
_TEXT = """\
# Any model: analysed, cut by half, proved

`python benchmarks/prunability.py` over {n} of the {listed} listed models of
{libraries}, with `torch-pruning==1.6.1` importable, then
`--limit 0 --write docs/results/prunability.md`. Commit {commits}. {machine}

Every model runs in a process of its own on one thread, with parameters and buffers filled at random, and with no hints:
an example input is all that either tool gets. Images are small and language models have two or three narrow layers,
since what is measured is the analysis; a small image flatters Torch-Pruning, which runs the model for real.

- *in axes*: share of the parameter elements of which at least one position lies in an axis (branch axes not counted).
- *kept*: share of the parameters after half of the units of every axis went, the lowest L2 norms.
- *proof*: largest relative difference between the cut model and the masked dense one: in float64 with 1e-9 allowed,
  or in the type that the model insists on (named then). A model counts as proved where the outputs agree and depend on
  what was cut.
- *zeros*: the second oracle. Half of every exact axis is cut; the other side is the dense model with zeros wherever the
  plan leaves a position out. A dash stands for models without an exact axis.
- *s*: trace + score + select + cut of a copy made before, or Torch-Pruning's build + step, after both engines had done
  another model in the process. Below 2 s the best of three, else one run.
- Torch-Pruning: `BasePruner(importance=GroupMagnitudeImportance(p=2), pruning_ratio=0.5)`, with the layers whose
  outputs are the model's outputs ignored. *runs* says no more than that a forward pass ends without an error.

"""


def page(rows: Mapping[tuple[str, str], Row]) -> str:
    """Markdown."""
    mine = {name: row for (name, tool), row in rows.items() if tool == "ours"}
    peers = {name: row for (name, tool), row in rows.items() if tool == "theirs"}
    head = _TEXT.format(
        n=len(mine),
        listed=len(MODELS),
        libraries=", ".join(sorted({name.partition("/")[0] for name in mine})),
        commits=", ".join(sorted({str(row.get("commit")) for row in mine.values()})),
        machine=machine(),
    )
    return head + "\n".join([*_figures(mine, peers), *_failures(mine), *_held(mine), *_table(mine, peers)]) + "\n"


def machine() -> str:
    """Processor and versions."""
    name = platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        name = found[1] if found else name
    versions = []
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"{os.cpu_count()} cores, {name}; Python {platform.python_version()}, {', '.join(versions)}."


def proved(row: Row) -> bool:
    """Cut, run, equal to the masked model, and able to fail."""
    return row["stage"] == "done" and bool(row["verified"])


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.1%})" if whole else "0"


def _figures(mine: Mapping[str, Row], peers: Mapping[str, Row]) -> list[str]:
    """What the page claims."""
    done = [row for row in mine.values() if row["stage"] == "done"]
    if not done:
        return ["Nothing was measured."]
    zeros = [row["zeroes_hold"] for row in done if "zeroes_hold" in row]
    kept = [row["kept"] for row in done]
    per_operator_ms = statistics.median(1000 * row["seconds"] / max(1, row["operators"]) for row in done)
    lines = [
        "| | |",
        "|---|---|",
        f"| analysed, cut and proved | {_share(sum(map(proved, mine.values())), len(mine))} |",
        f"| second oracle holds | {_share(sum(zeros), len(zeros))} |",
        f"| parameters in axes, median | {statistics.median(row['share'] for row in done):.1%} |",
        f"| parameters kept, median | {statistics.median(kept):.1%} |",
        f"| models that keep more than 60 % | {_share(sum(each > _MUCH_KEPT for each in kept), len(kept))} |",
        f"| seconds, median and largest | {_median_and_largest(row['seconds'] for row in done)} |",
        f"| milliseconds per operator, median | {per_operator_ms:.2f} |",
    ]
    return [*lines, *_against(mine, peers), ""]


def _median_and_largest(values: Iterable[float]) -> str:
    values = sorted(values)
    return f"{statistics.median(values):.3f}, {values[-1]:.2f}"


def _against(mine: Mapping[str, Row], peers: Mapping[str, Row]) -> list[str]:
    """Beside Torch-Pruning, on the models that both can do."""
    if not peers:
        return []
    runs = [name for name, row in peers.items() if row["stage"] == "done"]
    ended = [name for name, row in peers.items() if "no end within" in row.get("failed", "")]
    both = [peers[name]["seconds"] / mine[name]["seconds"] for name in runs if name in mine and proved(mine[name])]
    lines = [
        f"| Torch-Pruning: runs after the cut | {_share(len(runs), len(peers))} |",
        f"| Torch-Pruning: no end within the limit | {_share(len(ended), len(peers))} |",
    ]
    if both:
        faster, mean = sum(ratio > 1 for ratio in both), statistics.geometric_mean(both)
        lines += [
            f"| faster than Torch-Pruning, where both succeed | {_share(faster, len(both))} |",
            f"| times as fast, geometric mean (median) | {mean:.1f} ({statistics.median(both):.1f}) |",
        ]
    return lines


def _failures(mine: Mapping[str, Row]) -> list[str]:
    bad = [row for row in mine.values() if not proved(row)]
    wrong = [row for row in mine.values() if not row.get("zeroes_hold", True)]
    lines = ["## What failed", ""]
    for row in bad:
        why = " ".join(row.get("failed", "").split()) or f"error {row.get('error')}, reacts: {row.get('reacts')}"
        lines.append(f"- {row['name']}, {row['stage']}: {_plain(why)[:400]}")
    lines += [
        f"- {row['name']}: the second oracle differs by {row['zeroes']:.1e}, reaction {row['zeroes_reaction']:.1e}"
        for row in wrong
    ]
    return [*lines, "" if bad or wrong else "Nothing.", ""]


def _held(mine: Mapping[str, Row]) -> list[str]:
    """Models that stay large, and what holds them."""
    lines = ["## What keeps more than 60 % of its parameters", ""]
    held = [row for row in mine.values() if row["stage"] == "done" and row["kept"] > _MUCH_KEPT]
    for row in sorted(held, key=lambda row: -float(row["kept"])):
        reasons = "; ".join(f"{why} ({share:.0%} of what stays)" for why, share in row["fixed"][:3])
        lines.append(f"- {row['name']}, {row['kept']:.0%}: {_plain(reasons)}")
    return [*lines, "" if held else "None.", ""]


def _plain(text: str) -> str:
    """No folders of this machine, nothing that Markdown would read."""
    return re.sub(r"[^\s,;()']*/site-packages/", "", text).replace("|", "/").replace("<", "&lt;")


def _table(mine: Mapping[str, Row], peers: Mapping[str, Row]) -> list[str]:
    columns = ("model", "parameters", "operators", "axes", "in axes", "kept", "proof", "zeros", "s", "peak MB")
    columns += ("Torch-Pruning s", "outcome", "kept")
    lines = ["## All models", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name in sorted(mine):
        lines.append("| " + " | ".join([name, *_cells(mine[name]), *_peer_cells(peers.get(name))]) + " |")
    return lines


def _cells(row: Row) -> Sequence[str]:
    if row["stage"] != "done":
        return (f"{row.get('params', 0):,}", "", "", "", "", f"failed: {row['stage']}", "", "", "")
    zeros = row["zeroes"]
    return (
        f"{row['params']:,}",
        str(row["operators"]),
        str(row["axes"]),
        f"{row['share']:.1%}",
        f"{row['kept']:.1%}",
        f"{row['error']:.0e}{_doubts(row)}",
        f"{zeros:.0e}" if isinstance(zeros, float) else "-",
        f"{row['seconds']:.3f}",
        f"{row['peak_bytes'] / 1e6:,.0f}",
    )


def _doubts(row: Row) -> str:
    precision = "" if row["precision"] == "float64" else f" {row['precision']}"
    return precision + ("" if row["reacts"] else ", no reaction")


def _peer_cells(row: Row | None) -> Sequence[str]:
    if row is None:
        return ("", "", "")
    outcome = "runs" if row["stage"] == "done" else f"fails: {row['stage']}"
    if "no end within" in row.get("failed", ""):
        outcome = "no end"
    return (f"{row['seconds']:.3f}" if "seconds" in row else "", outcome, f"{row['kept']:.1%}" if "kept" in row else "")
