"""Before and after, from the results of the stages alone."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from secateurs.recipes.stages import Step, undone

__all__ = ["summarise"]


def summarise(steps: Sequence[Step], results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The `summary` of run.json from the results of all stages, by stage name.

    `before` is the model at the first stage that cuts (None without one), `after` the last measurement. `asked` and
    `removed` are fractions of the model before the first cut: two cuts of a half remove three quarters. Cuts that were
    undone or left out do not count.
    """
    last = [step for step in steps if step.stage.measures][-1]
    measured = results[last.name]
    in_vain = undone(results.values())
    cuts = [step for step in steps if step.stage.cuts and step.name not in in_vain and "before" in results[step.name]]
    if not cuts:
        return {"before": None, "after": measured["after"], "asked": {}, "removed": {}, "verified": None}
    before = {**results[cuts[0].name]["before"], **measured.get("before", {})}
    return {
        "before": before,
        "after": measured["after"],
        "asked": _compounded([results[step.name]["asked"] for step in cuts]),
        "removed": _compounded([results[step.name]["removed"] for step in cuts]),
        "verified": _worst([results[step.name]["verified"] for step in cuts]),
    }


def _compounded(ratios: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for each in ratios for name in each)
    # Each stage's ratio is of what the one before left.
    return {name: 1 - math.prod(1 - each.get(name, 0.0) for each in ratios) for name in names}


def _worst(errors: Sequence[float | None]) -> float | None:
    """The largest verification error; None when a cut was not verified."""
    known = [error for error in errors if error is not None]
    return max(known) if len(known) == len(errors) else None
