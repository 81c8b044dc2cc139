"""When a schedule of cuts has gone far enough."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from secateurs._errors import ConfigError
from secateurs.recipes._section import STRICT, Ratio
from secateurs.recipes.stages._base import Step

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["StopSection", "reason_to_stop"]


class StopSection(BaseModel):
    """After one of these, this cut and all later ones with a `stop` are left out; training goes on."""

    model_config = STRICT
    removed: dict[Literal["macs", "params", "bytes"], Ratio] = Field(default_factory=dict)
    """These fractions of the model before its first cut are gone; of several, all of them."""
    accuracy_drop: Ratio | None = None
    """Validation accuracy before this cut is lower by more than this, as a fraction, than it was before the first."""
    worsening: Ratio | None = None
    """The same for any objective, and relative: what validation images say of the network, accuracy or ELBO, is worse
    by more than this fraction of what it was before the first cut."""

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if not self.removed and self.accuracy_drop is None and self.worsening is None:
            raise ValueError("`removed` (such as {params: 0.5}), `accuracy_drop` or `worsening`")
        return self


def reason_to_stop(session: "Session", step: Step, stop: StopSection, now: Mapping[str, Any]) -> str | None:
    """Why this cut is left out, in the words of its results; None where it is made.

    Looks at run.json alone, so that a resumed run decides as an uninterrupted one does.

    Args:
        now: figures of the model before this cut.
    """
    results = {earlier.name: _results(session, earlier) for earlier in session.steps[: step.index]}
    cuts = [earlier for earlier in session.steps[: step.index] if earlier.stage.cuts]
    if not cuts:
        return None
    said = [results[cut.name].get("stopped") for cut in cuts]
    if said[-1] is not None:
        return str(said[-1])
    dense = results[cuts[0].name]["before"]
    gone = {key: 1 - now[key] / dense[key] for key in stop.removed}
    if gone and all(gone[key] >= ratio for key, ratio in stop.removed.items()):
        return "removed " + ", ".join(f"{100 * value:.1f} % of {key}" for key, value in gone.items())
    if stop.accuracy_drop is not None:
        first, last = (_figure(session, at, "accuracy", "accuracy_drop") for at in (cuts[0], step))
        if first - last > stop.accuracy_drop:
            return f"validation accuracy fell from {100 * first:.2f} to {100 * last:.2f} %"
    if stop.worsening is not None:
        name = session.objective.figure
        first, last = (_figure(session, at, name, "worsening") for at in (cuts[0], step))
        if first - last > stop.worsening * abs(first):
            return f"validation {name} fell from {first:.6g} to {last:.6g}"
    return None


def _figure(session: "Session", step: Step, name: str, option: str) -> float:
    """Of validation images, at the end of the training before a step."""
    found = [_results(session, earlier).get(f"validation_{name}") for earlier in session.steps[: step.index]]
    known = [float(figure) for figure in found if figure is not None]
    if not known:
        raise ConfigError(
            f"{step.name} stop.{option}",
            wanted="a training with validation images before the cut",
            got=f"no validation {name}",
            cure=f"Set data.validation_ratio above 0, or leave {option} out.",
        )
    return known[-1]


def _results(session: "Session", step: Step) -> Mapping[str, Any]:
    results: Mapping[str, Any] = session.directory.entry(step.name)["results"]
    return results
