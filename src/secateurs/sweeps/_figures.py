"""What trials may be judged by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from secateurs._errors import ConfigError
from secateurs._nearest import nearest_hint

__all__ = ["FIGURES", "Figure", "check_figure", "figures_of", "said"]

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of the network that a run ends with, as its measurement notes it.

    Attributes:
        direction: which way is better.
        form: how one of its values is written.
        purpose: the objective of recipes that have it; None for all.
    """

    direction: Direction
    form: str = "{:,.0f}"
    purpose: str | None = None

    def better(self, value: float) -> float:
        """The value, so that more is better."""
        return value if self.direction == "maximize" else -value


FIGURES: Mapping[str, Figure] = {
    "validation_accuracy": Figure(direction="maximize", form="{:.2%}", purpose="classification"),
    "validation_elbo": Figure(direction="maximize", form="{:.3f}", purpose="elbo"),
    "params": Figure(direction="minimize"),
    "macs": Figure(direction="minimize"),
    "expected_macs": Figure(direction="minimize"),
    "bytes": Figure(direction="minimize"),
    "activation_bytes": Figure(direction="minimize"),
    "latency_ms": Figure(direction="minimize", form="{:.3f}"),
}
"""By the name under `summary.after` of run.json; `expected_macs` is of networks with gates alone."""


def check_figure(name: str) -> None:
    """Refuse what no trial may be chosen by.

    Raises:
        ConfigError: an unknown figure, or one of test images.
    """
    if name in FIGURES:
        return
    cure = nearest_hint(name, FIGURES, f"Use one of: {', '.join(FIGURES)}.")
    wanted = "a figure that trials may be chosen by"
    if name.startswith("test_"):
        # Whoever chooses by test images has none left that tell how good the choice is.
        twin = name.replace("test_", "validation_", 1)
        wanted = "a figure of validation images, or a cost"
        cure = (
            f"Choose by {twin if twin in FIGURES else 'validation_accuracy'}: test images tell how good the chosen "
            "network is, which they can only while nothing was chosen by them."
        )
    raise ConfigError("objectives", wanted=wanted, got=repr(name), cure=cure)


def figures_of(state: Mapping[str, Any]) -> dict[str, float]:
    """Every figure, and those of test images to look at, from a finished run's run.json."""
    after = (state.get("summary") or {}).get("after") or {}
    shown = (*FIGURES, "test_accuracy", "test_elbo")
    return {name: after[name] for name in shown if isinstance(after.get(name), int | float)}


def said(name: str, value: float) -> str:
    """The value as people read it."""
    twin = FIGURES.get(name.replace("test_", "validation_", 1))
    return (twin.form if twin is not None else "{:g}").format(value)
