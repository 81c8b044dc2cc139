"""The way of a single run: how good its network was, and what it cost, before and after every cut and training."""

from collections.abc import Mapping
from typing import Any

from secateurs.reporting._merit import Merit
from secateurs.reporting.html._numbers import finite, short
from secateurs.reporting.html._views import View
from secateurs.reporting.html._xy import Point, Series

__all__ = ["course_of"]


def course_of(view: View, merit: Merit, key: str, scale: float, unit: str) -> Series | None:
    """A line over all that the stages have measured, in order; None where no stage has cut.

    Args:
        key: of the cost in results of stages.
        scale: from there to what the chart shows.
        unit: of that.
    """
    places, cost = list[tuple[float, float, str]](), None
    for stage in view.stages:
        results, name = stage["results"], str(stage.get("name"))
        if "axes" in results:
            for side, words in (("before", f"before {name}"), ("after", f"right after {name}")):
                at, good = _number(results.get(side), key), _number(results.get(side), merit.test)
                if at is not None and good is not None:
                    cost = scale * at
                    places.append((cost, merit.scale * good, words))
        elif cost is not None and (good := finite(results.get(merit.test))) is not None:
            places.append((cost, merit.scale * good, f"after {name}"))
    if not places:
        return None
    points = [Point(x=x, y=y, tip=f"{words}\n{merit.word} {y:.2f}\n{short(x)} {unit}") for x, y, words in places]
    return Series(
        name="course", line=[(x, y) for x, y, _ in places], points=points, label="from cut to cut", faint=True
    )


def _number(side: Any, key: str) -> float | None:
    return finite(side.get(key)) if isinstance(side, Mapping) else None
