"""What gates decide: how often each block is run, how many blocks images pass, and which classes pass many."""

from collections.abc import Mapping
from typing import Any

from secateurs.reporting._gates import last_gates
from secateurs.reporting.html._markup import Child, tag
from secateurs.reporting.html._numbers import finite, percent
from secateurs.reporting.html._tables import Cell, Column, table
from secateurs.reporting.html._views import Group, View
from secateurs.reporting.html._xy import Chart, Series, chart

__all__ = ["gates_view"]


def gates_view(group: Group) -> Child:
    """None where no run has gates."""
    found = [(view, told) for view in group.views if (told := last_gates(view.record)) is not None]
    if not found:
        return None
    methods = list(dict.fromkeys(group.methods.values()))
    series = [
        Series(
            name=group.methods[view.variant],
            label=f"{view.variant}, seed {view.seed}",
            look=methods.index(group.methods[view.variant]),
            line=_depths(told),
        )
        for view, told in found
    ]
    depths = Chart(
        title="How many blocks images pass", x_title="blocks run", y_title="test images, %", series=series, whole=True
    )
    return [
        tag("h3", "Gates"),
        _rates([*found]),
        tag("div", chart(depths), class_="charts"),
        tag("h4", "Mean blocks by class"),
        _classes([*found]),
    ]


def _depths(told: Mapping[str, Any]) -> list[tuple[float, float]]:
    total = sum(told["depths"]) or 1
    return [(float(depth), 100 * count / total) for depth, count in enumerate(told["depths"])]


def _rates(found: list[tuple[View, Mapping[str, Any]]]) -> Child:
    blocks = list(dict.fromkeys(block for _, told in found for block in told["blocks"]))
    columns = [
        Column(title="run", numeric=False),
        Column(title="MACs saved", tip="of gates too"),
        Column(title="blocks run"),
    ]
    columns += [Column(title=block, tip="test images for which it is run, %") for block in blocks]
    rows = []
    for view, told in found:
        rates = dict(zip(told["blocks"], told["rates"], strict=False))
        saved, ran = finite(told.get("saved_macs")), finite(told.get("blocks_run"))
        rows.append(
            [
                Cell(shown=f"{view.variant}, seed {view.seed}"),
                Cell(shown=percent(saved), sort=saved),
                Cell(shown=percent(ran), sort=ran),
                *(_rate(block, finite(rates.get(block))) for block in blocks),
            ]
        )
    return table("Images for which each block is run", columns, rows)


def _rate(block: str, rate: float | None) -> Cell:
    if rate is None:
        return Cell(shown="-")
    tip = f"{block}: run for {percent(rate)} of the test images"
    return Cell(shown=f"{100 * rate:.0f}", sort=rate, share=rate, tip=tip, kind="heat")


def _classes(found: list[tuple[View, Mapping[str, Any]]]) -> Child:
    names = list(dict.fromkeys(name for _, told in found for name in told.get("depth_by_class", {})))
    columns = [Column(title="class", numeric=False)]
    columns += [Column(title=f"{view.variant}, seed {view.seed}") for view, _ in found]
    rows = []
    for name in names:
        depths = [finite(told.get("depth_by_class", {}).get(name)) for _, told in found]
        most = [len(told["blocks"]) or 1 for _, told in found]
        rows.append(
            [
                Cell(shown=name),
                *(
                    Cell(
                        shown="-" if depth is None else f"{depth:.2f}",
                        sort=depth,
                        share=None if depth is None else depth / of,
                    )
                    for depth, of in zip(depths, most, strict=True)
                ),
            ]
        )
    return table("Mean blocks by class", columns, rows)
