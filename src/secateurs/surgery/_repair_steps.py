"""What a repair goes through: the uses of weights and of stored statistics, in the order of execution."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from secateurs._errors import PlanError
from secateurs.graph import Plan
from secateurs.surgery._repair_lanes import Lane
from secateurs.surgery._repair_sites import Site, Sites

__all__ = ["Step", "steps_of"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One site, in the dense and the cut model.

    Attributes:
        number: of the site among all of a call.
        kind: "map" or "norm".
        path: of the weight or the stored means.
        norm: number of the step that normalises the outputs and nothing else happens before.
        hinders: why it cannot be repaired; empty if it can.
        consumes: whether the weight lost inputs.
    """

    number: int
    kind: str
    path: str
    norm: int | None = None
    hinders: str = ""
    consumes: bool = False
    touched: bool = False
    """Whether anything of it was cut."""


@dataclass(frozen=True, kw_only=True)
class _Seen:
    kind: str
    path: str
    first: int
    rows: int
    makes: int
    hinders: str
    norm: int | None = None


def steps_of(plan: Plan, dense: tuple[Sites, Callable[[], Any]], cut: tuple[Sites, Callable[[], Any]]) -> list[Step]:
    """All sites of a call, the same in both models.

    Raises:
        PlanError: the models do not do the same things in the same order.
    """
    before, after = _walk(*dense), _walk(*cut)
    if [(site.kind, site.path) for site in before] != [(site.kind, site.path) for site in after]:
        cure = "Its code takes another way once it is cut; repair=False leaves it as cut."
        raise PlanError(
            "repair", wanted="a cut model that runs as the dense one does", got="other operators", cure=cure
        )
    uses = Counter((site.kind, site.path, site.first) for site in after)
    tied = set(plan.aliases.values())
    cuts = {(entry.path, entry.dim) for entry in plan.cuts}
    steps = []
    for number, site in enumerate(after):
        hinders = site.hinders
        if uses[site.kind, site.path, site.first] > 1:
            hinders = "used more than once"
        elif site.path in tied:
            hinders = "shared with another layer"
        steps.append(
            Step(
                number=number,
                kind=site.kind,
                path=site.path,
                norm=site.norm,
                hinders=hinders,
                consumes=site.kind == "map" and (site.path, 1 - site.makes) in cuts,
                touched=any(path == site.path for path, _ in cuts),
            )
        )
    return steps


def _walk(sites: Sites, call: Callable[[], Any]) -> list[_Seen]:
    """Every site of a call."""
    lane, found = Lane(call), list[_Seen]()
    made: tuple[int, Tensor] | None = None
    try:
        here: list[Site] = []

        def wanted(operator: Any) -> bool:
            site = sites.at(operator)
            here[:] = [] if site is None else [site]
            return site is not None

        while lane.reach(wanted) is not None:
            site = here.pop()
            if site.kind == "norm" and made is not None and site.inputs is made[1]:
                number = made[0]
                found[number] = _Seen(**{**vars(found[number]), "norm": len(found)})
            rows = site.weight.shape[0]
            found.append(
                _Seen(
                    kind=site.kind, path=site.path, first=site.first, rows=rows, makes=site.makes, hinders=site.hinders
                )
            )
            result = lane.step()
            made = (len(found) - 1, result) if site.kind == "map" and isinstance(result, Tensor) else None
    finally:
        lane.close()
    return found


def fitted(steps: Sequence[Step], layers: str) -> list[Step]:
    """The maps that are to be fitted."""
    first = next((step.number for step in steps if step.touched), len(steps))
    return [
        step
        for step in steps
        if step.kind == "map" and not step.hinders and (step.consumes or (layers == "all" and step.number > first))
    ]
