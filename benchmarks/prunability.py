"""A wide list of models of torchvision, timm and transformers: analysed, cut by half, proved, and timed.

    python benchmarks/prunability.py [--only PATTERN] [--jobs N] [--ours-only] [--again] [--limit N] [--out DIR]

Every model runs in a process of its own, ours and Torch-Pruning's in turn, the first of them swapped from model to
model. Results land as JSON lines in DIR (default runs/prunability); a second call goes on where the first stopped.
`--write FILE` makes the page of the results. Libraries are those that Python finds; what is missing is said.
"""

import argparse
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script, Python finds this folder only

from benchmarks._summary import page  # noqa: E402
from benchmarks.libraries import LIBRARIES, MODELS  # noqa: E402

Row = dict[str, Any]


@dataclass(kw_only=True)
class Results:
    """A file of JSON lines; the last line of a model and tool counts."""

    path: Path
    lock: Lock = field(default_factory=Lock)

    def rows(self) -> dict[tuple[str, str], Row]:
        """By model and tool."""
        if not self.path.exists():
            return {}
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        return {(line["name"], line["tool"]): line for line in lines}

    def add(self, row: Row) -> None:
        """Append, and say so."""
        with self.lock, self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        outcome = row.get("failed", "").splitlines()[:1] or [f"{row.get('seconds', 0):.3f} s"]
        print(f"{row['name']:<60} {row['tool']:<7} {row['stage']:<8} {outcome[0][:120]}", flush=True)


def measure(name: str, tool: str, limit_s: float) -> Row:
    """One child process, ended at the limit."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "record.json"
        command = [sys.executable, "-m", "benchmarks._child", name, tool, str(file)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        row: Row = {"name": name, "tool": tool, "stage": "start"}
        try:
            ended = subprocess.run(command, cwd=ROOT, env=environment, timeout=limit_s, capture_output=True, text=True)
            failed = f"exit status {ended.returncode}: {ended.stderr[-600:]}" if ended.returncode else ""
        except subprocess.TimeoutExpired:
            failed = f"no end within {limit_s:.0f} s"
        if file.exists():
            row = json.loads(file.read_text())
        return {**row, "failed": row.get("failed", failed)} if failed else row


def commit() -> str:
    """The commit measured, with a plus where files differ from it."""
    told = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True)
    return told.stdout.strip() or "unknown"


def chosen(only: Sequence[str], limit: int | None) -> list[str]:
    """Names that match, of libraries that are installed."""
    missing = [library for library in LIBRARIES if find_spec(library) is None]
    for library in missing:
        print(f"{library} is not installed: its models are left out")
    names = [name for name, entry in MODELS.items() if entry.library not in missing]
    return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in only)][:limit]


def run(names: Iterable[str], tools: Sequence[str], options: argparse.Namespace, results: Results) -> None:
    """All models, each with every tool that has no result yet."""
    limits = {"ours": options.time_ours, "theirs": options.time_theirs}
    done, where = results.rows(), commit()

    def one(number: int, name: str) -> None:
        for tool in tools if number % 2 == 0 else tuple(reversed(tools)):
            if options.again or (name, tool) not in done:
                results.add({**measure(name, tool, limits[tool]), "commit": where})

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(one, *zip(*enumerate(names), strict=True)))


def main() -> None:
    """Measure what is missing; write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="names of models, like timm/vit*")
    parser.add_argument("--jobs", type=int, default=1, help="models at once")
    parser.add_argument("--limit", type=int, help="at most this many models")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--again", action="store_true", help="also what has a result")
    parser.add_argument("--time-ours", type=float, default=120, help="seconds for one model, with both proofs")
    parser.add_argument("--time-theirs", type=float, default=60, help="seconds for one model")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "prunability")
    parser.add_argument("--write", type=Path, help="write the page of all results here; with --limit 0 nothing else")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = Results(path=options.out / "results.jsonl")
    with_theirs = not options.ours_only and find_spec("torch_pruning") is not None
    if not options.ours_only and not with_theirs:
        print("torch_pruning is not installed: ours only")
    names = chosen(options.only, options.limit)
    if names:
        run(names, ("ours", "theirs") if with_theirs else ("ours",), options, results)
    if options.write:
        options.write.write_text(page(results.rows()))


if __name__ == "__main__":
    main()
