"""Rounds of work that keep to a limit: once a round has cost too much, its work is undone and no other follows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator
from torch import nn

from secateurs._errors import ConfigError
from secateurs.recipes._figures import validation_figures
from secateurs.recipes._section import STRICT, Name, Ratio
from secateurs.recipes.stages._base import StageType, Step

if TYPE_CHECKING:
    from secateurs.data import Splits
    from secateurs.recipes._session import Session

__all__ = ["HoldSection", "HoldStage", "left_out", "undone"]


class HoldSection(BaseModel):
    """What all rounds together may cost, by validation images; test images have no say."""

    model_config = STRICT
    accuracy_drop: Ratio | None = None
    """Validation accuracy may be lower by so much, as a fraction, than it was before the first round of the run."""
    worsening: Ratio | None = None
    """The same for any objective, and relative: what validation images say, accuracy or ELBO, may be worse by this
    fraction of what it was."""

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if (self.accuracy_drop is None) == (self.worsening is None):
            raise ValueError("`accuracy_drop` (such as 0.01) or `worsening`, one of them")
        return self

    def around(self, rounds: Sequence[Sequence[Any]], steps: int) -> Iterator[Any]:
        """Rounds of stages, `steps` each when written out, with a look before the first and behind every one."""
        for number, stages in enumerate(((), *rounds) if rounds else ()):
            yield from stages
            rest = (len(rounds) - number) * (steps + 1)
            back = steps + 1 if number else 0
            yield HoldStage(
                type="hold", accuracy_drop=self.accuracy_drop, worsening=self.worsening, back=back, rest=rest
            )


class HoldStage(StageType, HoldSection):
    """Look at validation images; go back to what the network was before the round where it has cost too much."""

    type: Literal["hold"]
    name: Name | None = None
    back: int = Field(ge=0)
    """Stages back to the look before; 0 for the first."""
    rest: int = Field(ge=0)
    """Stages that are left out once the limit is passed."""
    changes: ClassVar[bool] = True

    def describe(self) -> str:
        """The stage in a few words."""
        if not self.back:
            return "note what validation images say"
        return f"go back if validation images say more than {100 * (self._limit):g} % less"

    def check_data(self, splits: "Splits") -> None:
        """There are validation images."""
        if not len(splits.validation):
            raise ConfigError(
                "data.validation_ratio",
                wanted="validation images, which `hold` looks at",
                got="none",
                cure="Set data.validation_ratio above 0.",
            )

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Look, and go back or on; the results for run.json."""
        name = f"validation_{session.objective.figure}"
        now = float(validation_figures(session, session.model)[name])
        looks = [earlier for earlier in session.steps[: step.index] if _looked(session, earlier)]
        first = float(session.directory.entry(looks[0].name)["results"][name]) if looks else now
        results: dict[str, Any] = {name: now, "first": first, "kept": not self.back or not self._passed(first, now)}
        if results["kept"]:
            return results
        begin = step.index - self.back + 1
        session.notify(f"{step.name}: {name} {now:.6g}, at first {first:.6g}; going back")
        session.model, session.masks = session.restored(begin), session.restored_masks(begin)
        return {**results, "undone": [each.name for each in session.steps[begin : step.index]]}

    def restore(self, session: "Session", step: Step, dense: nn.Module) -> nn.Module:  # noqa: ARG002 - as every stage
        """What was there before, or before the round that was undone."""
        kept = session.directory.entry(step.name)["results"]["kept"]
        return session.restored(step.index if kept else step.index - self.back + 1)

    @property
    def _limit(self) -> float:
        return float(self.accuracy_drop if self.accuracy_drop is not None else self.worsening or 0.0)

    def _passed(self, first: float, now: float) -> bool:
        scale = 1.0 if self.accuracy_drop is not None else abs(first)
        # An accuracy is a fraction of some thousand images: a drop of exactly the limit is allowed.
        return first - now > self._limit * scale + 1e-9


def left_out(session: "Session", step: Step) -> str | None:
    """Why a stage is not carried out, by what run.json says of the looks before it; None where it is."""
    for earlier in session.steps[: step.index]:
        if isinstance(earlier.stage, HoldStage) and earlier.index + earlier.stage.rest >= step.index:
            results = session.directory.entry(earlier.name)["results"]
            if not results.get("kept", True):
                return f"the limit was passed in {earlier.name}"
    return None


def undone(results: Iterable[Mapping[str, Any]]) -> set[str]:
    """Names of the stages whose work these results say was undone."""
    return {name for each in results for name in each.get("undone", ())}


def _looked(session: "Session", step: Step) -> bool:
    return isinstance(step.stage, HoldStage) and "kept" in session.directory.entry(step.name)["results"]
