"""How much of each axis is left."""

from collections.abc import Mapping
from typing import Any

from secateurs.reporting._figure import BLUE, LIGHT, new_figure
from secateurs.reporting._record import RunRecord

__all__ = ["kept_figure"]


def kept_figure(run: RunRecord) -> Any:
    """One bar per axis, in the order of the network: units kept, of the units before the first cut."""
    sizes = _sizes(run)
    figure = new_figure(8, 1.1 + 0.24 * len(sizes))
    axes = figure.subplots()
    places = range(len(sizes))
    shares = [100 * kept / size for kept, size in sizes.values()]
    axes.barh(places, [100] * len(sizes), color=LIGHT, height=0.7)
    axes.barh(places, shares, color=BLUE, height=0.7)
    for place, (kept, size) in enumerate(sizes.values()):
        axes.text(101, place, f"{kept} of {size}", va="center", fontsize=8)
    axes.set_yticks(places, list(sizes), fontsize=8)
    axes.set_ylim(len(sizes) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("units kept, % of the axis")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.suptitle(f"{run.name}: what each axis keeps", x=0.01, ha="left")
    return figure


def _sizes(run: RunRecord) -> Mapping[str, tuple[int, int]]:
    """Axis name -> (units kept after the last cut, units before the first).

    An axis of a single unit is no axis any more, so later cuts may not name it; what it kept stays.
    """
    sizes: dict[str, tuple[int, int]] = {}
    for stage in run.state.get("stages", []):
        for axis in (stage.get("results") or {}).get("axes", ()):
            first = sizes.get(axis["name"], (0, axis["size"]))[1]
            sizes[axis["name"]] = (axis["kept"], first)
    return sizes
