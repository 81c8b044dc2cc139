"""What tells how good a network is: accuracy, or the bound of an autoencoder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from secateurs.reporting._record import RunRecord

__all__ = ["ACCURACY", "ELBO", "MERITS", "Merit", "merit_of"]


@dataclass(frozen=True, kw_only=True)
class Merit:
    """A figure of which more is better, as stages and epochs note it.

    Attributes:
        name: figures are called `test_` and this, in the results of stages.
        epoch_key: what epochs call it after `train_` and `validation_`.
        scale: from what is noted of an epoch or stage to what people read.
        sign: -1 where epochs note a loss.
        title: with its unit.
        unit: of a difference.
        margin: so much below the best is shown in pictures at most; the fraction of the best where `relative`.
        relative: whether `margin` is a fraction.
    """

    name: str
    epoch_key: str
    scale: float = 1.0
    sign: int = 1
    title: str
    unit: str
    margin: float
    relative: bool = False

    @property
    def test(self) -> str:
        """Its key in the results of stages."""
        return f"test_{self.name}"

    @property
    def word(self) -> str:
        """What it is called within a sentence."""
        return self.title.partition(",")[0]

    def of_epoch(self, row: Mapping[str, Any], source: str) -> float | None:
        """What people read of `train` or `validation` images in a row of metrics.jsonl."""
        value = row.get(f"{source}_{self.epoch_key}")
        return None if value is None else self.scale * self.sign * float(value)

    def of_stage(self, results: Mapping[str, Any]) -> float:
        """What people read of test images in results that have it."""
        return self.scale * float(results[self.test])

    def of_validation(self, results: Mapping[str, Any]) -> float | None:
        """What people read of validation images in the results of a training."""
        value = results.get(f"validation_{self.name}")
        return None if value is None else self.scale * float(value)

    @property
    def suffix(self) -> str:
        """Its unit as a heading ends."""
        return f", {self.unit if self.scale == 1 else '%'}"

    def shown_below(self, best: float) -> float:
        """How far below the best, in what people read, a picture goes."""
        return self.margin * abs(best) if self.relative else self.margin


ACCURACY = Merit(name="accuracy", epoch_key="accuracy", scale=100, title="accuracy, %", unit="points", margin=8.0)
ELBO = Merit(
    name="elbo", epoch_key="loss", sign=-1, title="ELBO, nats per image", unit="nats", margin=0.12, relative=True
)
MERITS = (ACCURACY, ELBO)


def merit_of(run: RunRecord) -> Merit:
    """By what the run's networks are judged."""
    results = [stage.get("results") or {} for stage in run.state.get("stages", [])]
    sides = [side for found in results for side in (found, found.get("before") or {}, found.get("after") or {})]
    return ELBO if any(ELBO.test in side for side in sides) else ACCURACY
