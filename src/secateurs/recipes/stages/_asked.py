"""How much a cut is asked to remove: all of it, a part of what several cuts remove, or until it is fast enough."""

from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from secateurs._errors import ConfigError
from secateurs.graph import Graph
from secateurs.recipes._section import STRICT, Count, Ratio
from secateurs.recipes.stages._base import Step
from secateurs.selection import MeasuredChoice, Schedule, cut_ratios, reachable, still_to_remove
from secateurs.surgery import LatencyOptions

if TYPE_CHECKING:
    from secateurs.recipes._session import Session
    from secateurs.recipes.stages._prune import PruneStage

__all__ = ["Asked", "LatencySection", "PartSection"]


class LatencySection(BaseModel):
    """How a latency in `remove` is measured and approached."""

    model_config = STRICT
    batch_size: Count = 1
    """Samples per call."""
    runs: Count = 30
    """Calls timed, of the network before and after the cut in turns."""
    warmup: Annotated[int, Field(ge=0)] = 5
    """Calls before them."""
    tolerance: Ratio = 0.02
    """What is removed may be more than what was asked by this fraction of the latency before."""
    probes: Annotated[int, Field(ge=2)] = 8
    """Cut networks measured at most."""

    @property
    def options(self) -> LatencyOptions:
        """The same for surgery."""
        return LatencyOptions(**self.model_dump())


class PartSection(BaseModel):
    """Which of the cuts this one is."""

    model_config = STRICT
    schedule: Schedule
    """How what goes is spread."""
    cut: Count
    """The number of this cut, from 1."""
    of: Count
    """How many there are."""

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if self.cut > self.of:
            raise ValueError("`cut` of at most `of`")
        return self


@dataclass(kw_only=True)
class Asked:
    """What one cut removes, and what there is to say of it.

    Attributes:
        remove: for `select`; None where the scope says it. Empty: enough is gone already.
        told: the ratios for run.json, each of the network as the stage finds it.
        measured: figures that were measured instead of counted: fractions removed.
        results: more for run.json.
    """

    remove: dict[str, float | Fraction] | None
    told: dict[str, float]
    measured: dict[str, float] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Nothing is left to remove."""
        return self.remove is not None and not self.remove and "latency" not in self.told

    @classmethod
    def of(cls, session: "Session", step: Step, stage: "PruneStage", graph: Graph) -> "Asked":
        """What the stage asks of the network as it is."""
        if stage.part is not None:
            return _part(session, step, stage, stage.part, graph)
        budget = stage.budget
        counted = None if budget is None else {key: ratio for key, ratio in budget.items() if key != "latency"}
        return cls(remove=None if counted is None else dict(counted), told=budget or {})

    def took(self, choice: MeasuredChoice) -> None:
        """Take note of what was measured."""
        self.measured = {"latency": choice.removed}
        probes = [asdict(probe) for probe in choice.probes]
        self.results = {"latency": {"removed": choice.removed, "within": choice.within, "probes": probes}}


def _part(session: "Session", step: Step, stage: "PruneStage", part: PartSection, graph: Graph) -> Asked:
    now = {key: reach.dense for key, reach in reachable(graph, kinds=stage.kinds).items()}
    start = now if part.cut == 1 else _start(session, step, part)
    found = {key: cut_ratios(ratio, part.of, part.schedule) for key, ratio in (stage.budget or {}).items()}
    remove = still_to_remove({key: ratios[part.cut - 1] for key, ratios in found.items()}, start, now)
    # Of what the cuts before were to leave, so that all of them come to what was asked.
    left = {key: (1 - (Fraction(0), *ratios)[part.cut - 1], 1 - ratios[part.cut - 1]) for key, ratios in found.items()}
    told = {key: float(1 - after / before) for key, (before, after) in left.items()}
    return Asked(remove=dict(remove), told=told, results={"start": start})


def _start(session: "Session", step: Step, part: PartSection) -> dict[str, int]:
    """Figures of the network before the first of the cuts, from run.json."""
    for earlier in reversed(session.steps[: step.index]):
        other = getattr(earlier.stage, "part", None)
        if isinstance(other, PartSection) and other == part.model_copy(update={"cut": 1}):
            start: dict[str, int] = session.directory.entry(earlier.name)["results"]["start"]
            return start
    wanted = f"cut 1 of {part.of} before cut {part.cut}"
    raise ConfigError(step.name, wanted=wanted, got="none", cure="Write repeat with a schedule, or all cuts.")
