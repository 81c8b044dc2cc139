"""The two trainings of a gated network; the stage `gates` writes them out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from pydantic.dataclasses import dataclass as checked_dataclass

from secateurs.dynamic import Reinforce, Supervised
from secateurs.recipes._routes import route_figures, routes_of_test, save_routes
from secateurs.recipes._section import STRICT_DATACLASS
from secateurs.recipes.stages._base import Step
from secateurs.recipes.stages._gate_options import GateOptions, RewardOptions
from secateurs.recipes.stages._train import TrainStage

if TYPE_CHECKING:
    from secateurs.recipes._session import Session
    from secateurs.training import BatchSource, Objective

__all__ = ["GatesReinforceStage", "GatesSupervisedStage"]


@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class _GatePhase(TrainStage):
    """Train a network with gates, which it gets first if it has none; then tell which ways test images take."""

    type: Literal["gates"]  # type: ignore[assignment]
    gates: GateOptions = field(default_factory=GateOptions)
    """What gates are like."""

    @contextmanager
    def prepared(self, session: "Session", step: Step) -> "Iterator[BatchSource]":
        """As for training, with gates in the network."""
        self.gates.put_in(session, step)
        with super().prepared(session, step) as batches:
            yield batches

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Train, and tell what gates decide."""
        results = super().run(session, step)
        found = routes_of_test(session)
        save_routes(session, step, found)
        return {**results, "gates": route_figures(session, found)}


@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class GatesSupervisedStage(_GatePhase):
    """With labels alone: decisions by threshold, gradients straight through them."""

    soft: bool = False
    """Take of each block what its chance is, instead of deciding."""
    penalty: float = 0.0
    """Of the compute."""

    def describe(self) -> str:
        """The stage in a few words."""
        return f"train {self.epochs} epochs with {'soft ' if self.soft else ''}gates, lr {self.lr:g}"

    def objective_in(self, session: "Session") -> "Objective":
        """Cross-entropy, and the penalty."""
        return Supervised(
            soft=self.soft,
            penalty=self.penalty,
            shares=self.gates.shares(session),
            label_smoothing=self.label_smoothing,
        )


@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class GatesReinforceStage(_GatePhase):
    """With labels and rewards: decisions by lot, and the policy gradient of each image."""

    rewards: RewardOptions = field(default_factory=RewardOptions)
    """What decisions are worth."""

    def describe(self) -> str:
        """The stage in a few words."""
        return f"train {self.epochs} epochs by rewards too, alpha {self.rewards.alpha:g}, lr {self.lr:g}"

    def objective_in(self, session: "Session") -> "Objective":
        """Cross-entropy of sampled routes, and the policy gradient."""
        rewards = {name: getattr(self.rewards, name) for name in RewardOptions.model_fields}
        return Reinforce(**rewards, shares=self.gates.shares(session), label_smoothing=self.label_smoothing)
