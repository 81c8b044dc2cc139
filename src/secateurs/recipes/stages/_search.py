"""The stage `search`: the largest removal that validation images cannot tell from the network before it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from secateurs._errors import ConfigError
from secateurs._files import write_json
from secateurs.graph import trace
from secateurs.recipes._bisection import Found, Until, most_probes, search_levels
from secateurs.recipes._channels import CHANNELS_FILE, removed_channels
from secateurs.recipes._figures import figures, kept_axes, removed_fractions
from secateurs.recipes._section import STRICT, Name, Ratio
from secateurs.recipes.stages._base import Masking, StageType, Step
from secateurs.recipes.stages._cut_options import Amount, CutSection
from secateurs.recipes.stages._search_probe import Probe, Probes
from secateurs.recipes.stages._train_section import TrainSection
from secateurs.surgery import apply

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["SearchStage"]

_LEVELS = tuple(percent / 100 for percent in range(5, 100, 5))
Epochs = Annotated[int, Field(ge=0)]


class SearchStage(StageType, BaseModel):
    """Find the largest removal whose accuracy on validation images is not below a target, and leave that network.

    Each probe cuts the network that the stage finds to one of the levels, trains it for so many epochs, and looks at
    validation images. Probes do not depend on each other, and each is kept. Levels are probed by bisection, which
    finds what probing all of them finds where accuracy falls as more is removed; where it does not, the level found
    is good and the next larger one is not, but a larger one may be good again: `until: all` shows. Where no probe is
    good, the network stays as it is. Test images are looked at when the search is over, for the report alone.
    """

    model_config = STRICT
    cuts: ClassVar[bool] = True
    masking: ClassVar[Masking] = "refuses"
    type: Literal["search"]
    name: Name | None = None
    remove: Amount = "params"
    """What levels are fractions of."""
    levels: tuple[Ratio, ...] = Field(default=_LEVELS, min_length=1)
    """Fractions to remove that may be probed, ascending."""
    target: Literal["start", "here"] | float = "start"
    """What a probe must reach on validation images: what the network that the run begins with reaches, unpruned and not
    fine-tuned; what the network reaches that this stage finds; or a number, such as 0.9."""
    compare: Literal["exact", "points"] = "exact"
    """`points` compares whole percent, as the published search does: 71.9 reaches 71.0."""
    until: Until = "largest"
    """`largest` goes on to the end, to the smallest network; `first` stops at the first success, the cheapest search;
    `all` probes every level."""
    prune_after: Epochs = 0
    """Epochs of the schedule that the training before has gone through; each probe goes on from there."""
    finetune_budget: Epochs = 25
    """Epochs that each probe trains after its cut; 0 for none."""
    cut: CutSection = Field(default_factory=CutSection)
    """Which units go."""
    train: TrainSection = Field(default_factory=TrainSection)
    """How probes train."""

    @model_validator(mode="after")
    def _levels_ascend(self) -> Self:
        if list(self.levels) != sorted(set(self.levels)):
            raise ValueError("`levels` that ascend")
        return self

    @model_validator(mode="after")
    def _trains_after_its_cuts(self) -> Self:
        if self.train.regularise is not None:
            raise ValueError("no `train.regularise`, because probes train after their cuts; put it in the stage before")
        return self

    @property
    def epochs(self) -> int:
        """Those that all probes train together, at most."""
        return most_probes(len(self.levels), self.until) * self.finetune_budget

    def describe(self) -> str:
        """The stage in a few words."""
        low, high = (100 * level for level in (self.levels[0], self.levels[-1]))
        return f"search for the {self.until} of {low:g} to {high:g} % of {self.remove} that may go"

    def check(self) -> None:
        """There is such a criterion with such options."""
        self.cut.check()

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Probe, compare, and leave the network of the largest level that was good enough."""
        if not len(session.splits.validation):
            raise ConfigError(
                step.name,
                wanted="validation images, by which probes are judged",
                got="none",
                cure="Set data.validation_ratio above 0.",
            )
        probes = self._probes(session, step)
        wanted = self._wanted(session, probes)
        said: list[dict[str, Any]] = []

        def succeeds(level: float) -> bool:
            probe, merit = probes.probe(level), f"validation_{session.objective.figure}"
            good = probe["reached"] and self._reaches(probe[merit], wanted)
            said.append({**{key: value for key, value in probe.items() if key != "history"}, "succeeds": good})
            session.notify(f"{step.name}: {_line(probe, merit, wanted, good=good)}")
            return bool(good)

        found = search_levels(self.levels, succeeds, self.until)
        return self._settle(session, step, probes, found) | {
            "target": wanted,
            "target_of": self.target if isinstance(self.target, str) else "number",
            "until": self.until,
            "probes": said,
            **_spent(session, step, probes, said),
        }

    def _probes(self, session: "Session", step: Step) -> Probes:
        return Probes(
            session=session,
            step=step,
            graph=trace(session.model, args=(session.example(),)),
            amount=self.remove,
            cut=self.cut,
            train=self.train,
            first_epoch=self.prune_after,
            epochs=self.finetune_budget,
        )

    def _wanted(self, session: "Session", probes: Probes) -> float:
        if not isinstance(self.target, str):
            return self.target
        return probes.merit(session.restored(0) if self.target == "start" else session.model)

    def _reaches(self, merit: float, wanted: float) -> bool:
        # Accuracies are fractions of a count of images: equal ones may differ in the last bit.
        scale = 100 if self.compare == "points" else 1
        return int(scale * merit + 1e-9) >= int(scale * wanted + 1e-9) if scale > 1 else merit >= wanted - 1e-12

    def _settle(self, session: "Session", step: Step, probes: Probes, found: Found) -> dict[str, Any]:
        """The network of the level found, in the place of the one before; what stages that cut say of it."""
        graph, level = probes.graph, found.level
        plan = graph.plan({}) if level is None else probes.plan(level)
        example = (session.example(),)
        before = figures(session, session.model)
        if level is None:
            result = apply(session.model, plan, verify=self.cut.verify, example=example)
            session.model, error = result.model, result.report.error
        else:
            session.model, error = probes.model(level), probes.probe(level)["verified"]
        plan.save(session.directory.folder(step.name) / "plan.json")
        write_json(session.directory.folder(step.name) / CHANNELS_FILE, removed_channels(graph, plan))
        session.save_model(step)
        axes = kept_axes(graph, plan, branches="branch" in (self.cut.kinds or ()))
        return {
            "before": before,
            "after": figures(session, session.model),
            "asked": {} if level is None else {self.remove: level},
            "removed": removed_fractions(plan, axes),
            "verified": error,
            "axes": [asdict(axis) for axis in axes],
            "level": level,
        }


def _line(probe: Probe, merit: str, wanted: float, *, good: bool) -> str:
    start = f"{100 * probe['level']:g} % removed"
    if not probe["reached"]:
        return f"{start}: out of reach"
    return f"{start}: {merit} {probe[merit]:.4f}, wanted {wanted:.4f}, {'good' if good else 'not enough'}"


def _spent(session: "Session", step: Step, probes: Probes, said: Sequence[Probe]) -> dict[str, float]:
    """GOps and seconds of all probes, and of the trainings since the last cut, which they begin with."""
    before_gops = before_seconds = 0.0
    per_epoch = session.epoch_images * probes.graph.cost(train=True).train_gops
    for earlier in session.steps[: step.index]:
        entry = session.directory.entry(earlier.name)
        results: Mapping[str, Any] = entry["results"]
        if earlier.stage.cuts:
            before_gops = before_seconds = 0.0
        elif "epochs" in results:
            before_gops += per_epoch * int(results["epochs"])
            before_seconds += float(entry["seconds"])
    return {
        "search_gops": sum(probe["gops"] for probe in said),
        "search_seconds": round(sum(probe["seconds"] for probe in said), 3),
        "before_gops": before_gops,
        "before_seconds": round(before_seconds, 3),
    }
