"""Masks on weights: what is left of accuracy, and where the removed units were."""

from secateurs.reporting._masks import mask_rows
from secateurs.reporting._spread import mean_spread
from secateurs.reporting.html._markup import Child, tag
from secateurs.reporting.html._numbers import percent
from secateurs.reporting.html._tables import Cell, Column, table
from secateurs.reporting.html._views import Group

__all__ = ["masks_view"]


def masks_view(group: Group) -> Child:
    """A row for each method and rate; None where no run of a study has masks."""
    rows = mask_rows(group.record) if group.study is not None else []
    if not rows:
        return None
    layers = list(dict.fromkeys(layer for row in rows for layer in row.layers))
    titles = ("asked", "removed", "runs", "accuracy, %", "gap to dense, points")
    columns = [Column(title="mask", numeric=False), *(Column(title=title) for title in titles)]
    columns += [Column(title=layer, tip="removed of this layer, %") for layer in layers]
    shown = []
    for row in rows:
        gap = None if row.dense is None else 100 * (row.dense - row.mean)
        shown.append(
            [
                Cell(shown=row.method),
                Cell(shown=percent(row.asked), sort=row.asked),
                Cell(shown=percent(row.removed), sort=row.removed),
                Cell(shown=str(len(row.accuracies)), sort=len(row.accuracies)),
                Cell(shown=mean_spread([100 * value for value in row.accuracies]), sort=row.mean),
                Cell(shown="-" if gap is None else f"{gap:.2f}", sort=gap),
                *(_share(layer, row.layers.get(layer)) for layer in layers),
            ]
        )
    return [tag("h3", "Masks: what they leave, and where the removed units were"), table("Masks", columns, shown)]


def _share(layer: str, value: float | None) -> Cell:
    if value is None:
        return Cell(shown="-")
    return Cell(
        shown=f"{100 * value:.0f}", sort=value, share=value, tip=f"{layer}: {percent(value)} removed", kind="heat"
    )
