"""Scores of units, such as contributions, by axis: which went, and which stayed."""

import json
from collections.abc import Sequence
from pathlib import Path

from secateurs._files import load_tensors
from secateurs.reporting.html._markup import Child, Markup, tag
from secateurs.reporting.html._numbers import plain, short
from secateurs.reporting.html._tables import Cell, Column, table
from secateurs.reporting.html._views import View

__all__ = ["SCORES_FILE", "scores_view"]

SCORES_FILE = "scores.safetensors"
"""In the folder of a stage that cuts: the scores by which it did."""

_WIDTH, _HEIGHT = 260, 18


def scores_view(view: View) -> Child:
    """A strip for each axis of the last cut that left its scores: a tick for each unit; None where no cut did."""
    folders = [view.entry.path / "stages" / str(stage.get("name")) for stage in view.stages]
    folders = [folder for folder in folders if (folder / SCORES_FILE).exists() and (folder / "plan.json").exists()]
    if not folders:
        return None
    columns = [Column(title="axis", numeric=False), Column(title="scores of its units, low to high", numeric=False)]
    columns += [Column(title="removed"), Column(title="highest removed"), Column(title="lowest kept")]
    rows = _rows(folders[-1])
    colours = [
        tag("span", tag("span", class_=f"swatch line {look}"), word)
        for look, word in (("c0", "kept"), ("c5", "removed"))
    ]
    title = f"Scores, as {folders[-1].name} saw them"
    return [tag("h4", title), tag("p", colours, class_="key"), table(title, columns, rows)]


def _rows(folder: Path) -> list[list[Cell]]:
    removed = json.loads((folder / "plan.json").read_text(encoding="utf-8"))["removed"]
    rows = []
    for axis, tensor in load_tensors(folder / SCORES_FILE)[0].items():
        if axis.endswith(":branch") and axis not in removed:  # units of other axes, which take no part as a rule
            continue
        scores, gone = [float(score) for score in tensor.double().tolist()], set(removed.get(axis, ()))
        lost = [score for unit, score in enumerate(scores) if unit in gone]
        kept = [score for unit, score in enumerate(scores) if unit not in gone]
        rows.append(
            [
                Cell(shown=axis),
                Cell(shown=_strip(axis, kept, lost)),
                Cell(shown=f"{len(lost)} of {len(scores)}", sort=len(lost) / max(len(scores), 1)),
                Cell(shown=short(max(lost)) if lost else "-", sort=max(lost, default=None)),
                Cell(shown=short(min(kept)) if kept else "-", sort=min(kept, default=None)),
            ]
        )
    return rows


def _strip(axis: str, kept: Sequence[float], lost: Sequence[float]) -> Markup:
    known = [score for score in (*kept, *lost) if abs(score) < float("inf")]
    low, high = min(known, default=0.0), max(known, default=1.0)
    scale = (_WIDTH - 4) / (high - low) if high > low else 0.0

    def ticks(scores: Sequence[float]) -> str:
        return "".join(
            f"M{plain(2 + scale * (score - low))} 1v{_HEIGHT - 2}" for score in scores if low <= score <= high
        )

    drawn = [tag("path", d=ticks(scores), class_=look) for scores, look in ((kept, "c0"), (lost, "c5")) if scores]
    tip = f"{axis}: scores from {short(low)} to {short(high)}, {len(lost)} units removed"
    return tag(
        "svg", drawn, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", class_="strip", role="img", aria_label=tip, data_tip=tip
    )
