"""What networks of a study can do and what they compute, as their gates decide: one row for each variant."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secateurs._files import write_text
from secateurs.reporting._figure import colour_of, legend_beside, marker_of, new_figure, save_figure, tidy
from secateurs.reporting._merit import Merit, merit_of
from secateurs.reporting._record import RunRecord, lasting, member_runs
from secateurs.reporting._spread import counts, mean_spread

__all__ = ["ComputeRow", "compute_figure", "compute_rows", "compute_table", "write_compute"]


@dataclass(frozen=True, kw_only=True)
class ComputeRow:
    """A finished run.

    Attributes:
        variant: which of the study's.
        merit: what tells how good its network is.
        test: of test images, as people read it.
        gflops: two for each multiply-add of one image; as gates decide on test images, gates included.
        full: the same with every block.
        blocks: fraction of blocks with gates that is computed; None without gates.
        params: at the end.
        removed: fraction of the parameters that all cuts took.
    """

    variant: str
    merit: Merit
    test: float
    gflops: float
    full: float
    blocks: float | None
    params: int
    removed: float


def compute_rows(study: RunRecord) -> list[ComputeRow]:
    """All finished runs that are judged alike; none where no network has gates."""
    finished = [(name, run) for name, run in member_runs(study) if run.state.get("status") == "finished"]
    rows = [_row(name, run) for name, run in finished if run.stages("measure")]
    rows = [row for row in rows if row.merit == rows[0].merit]
    return rows if any(row.blocks is not None for row in rows) else []


def compute_table(rows: Sequence[ComputeRow]) -> str:
    """Markdown."""
    merit = rows[0].merit
    columns = ["runs", f"test {merit.title}", "GFLOPs", "all blocks", "blocks run, %", "parameters", "compression"]
    lines = [f"| variant | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for variant, group in _groups(rows).items():
        blocks = [100 * row.blocks for row in group if row.blocks is not None]
        cells = [
            variant,
            str(len(group)),
            mean_spread([row.test for row in group]),
            mean_spread([row.gflops for row in group], _digits(rows)),
            mean_spread([row.full for row in group], _digits(rows)),
            mean_spread(blocks, 1),
            counts([row.params for row in group]),
            f"{mean_spread([100 * row.removed for row in group], 1)} %",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    notes = (
        "",
        "GFLOPs are those of one image, two for each multiply-add, gates included, at the rates at which test images "
        "take blocks. Compression is the fraction of the parameters that cuts took.",
    )
    return "\n".join([*lines, *notes]) + "\n"


def compute_figure(name: str, rows: Sequence[ComputeRow]) -> Any:
    """Every run by what it computes and what it can do."""
    figure = new_figure(6.5, 4)
    axes = figure.subplots()
    for number, (variant, group) in enumerate(_groups(rows).items()):
        points = [[row.gflops for row in group], [row.test for row in group]]
        axes.plot(*points, linestyle="", marker=marker_of(number), color=colour_of(number), label=variant)
    axes.set_xlim(left=0)
    axes.set_xlabel("GFLOPs of one image, as gates decide")
    axes.set_ylabel(f"test {rows[0].merit.title}")
    tidy(axes)
    legend_beside(axes)
    figure.suptitle(f"{name}: what is computed, and what it is worth", x=0.01, ha="left")
    return figure


def write_compute(study: RunRecord) -> list[Path]:
    """`compute.md` and its picture; nothing where no network has gates."""
    rows = compute_rows(study)
    if not rows:
        return []
    write_text(study.path / "compute.md", compute_table(rows))
    return [save_figure(compute_figure(study.name, rows), study.path / "plots" / "compute.png")]


def _row(variant: str, run: RunRecord) -> ComputeRow:
    merit, results = merit_of(run), lasting(run, "measure")[-1]["results"]
    after, gates = results["after"], results.get("gates")
    return ComputeRow(
        variant=variant,
        merit=merit,
        test=merit.of_stage(after),
        gflops=2e-9 * float(after["macs"] if gates is None else gates["expected_macs"]),
        full=2e-9 * float(after["macs"]),
        blocks=None if gates is None else sum(gates["rates"]) / len(gates["rates"]),
        params=int(after["params"]),
        removed=float(results.get("removed_params", 0.0)),
    )


def _groups(rows: Sequence[ComputeRow]) -> dict[str, list[ComputeRow]]:
    found: dict[str, list[ComputeRow]] = {}
    for row in rows:
        found.setdefault(row.variant, []).append(row)
    return found


def _digits(rows: Sequence[ComputeRow]) -> int:
    """Three significant ones of the largest."""
    largest, digits = max(row.full for row in rows), 2
    while largest * 10**digits < 100 and digits < 8:
        digits += 1
    return digits
