"""What a repair did."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["RepairReport", "Repaired"]


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """A layer whose weights were fitted.

    Attributes:
        path: of the weight.
        before, after: of its outputs on the calibration set, mean squared error over the variance of the dense
            model's, with the weights as cut and as fitted; both on the cut model's inputs as repaired so far.
        patches: whether whole patches were fitted, or channels alone.
    """

    path: str
    before: float
    after: float
    patches: bool


@dataclass(frozen=True, kw_only=True)
class RepairReport:
    """How a repair went.

    Attributes:
        layers: those that were fitted, in order of execution.
        left: path to reason, for layers that read what was cut and stay as cut.
        norms: how many batch norms have statistics that moved.
        batches: how many the calibration set had.
        seconds: time that it took.
    """

    layers: tuple[Repaired, ...]
    left: Mapping[str, str]
    norms: int
    batches: int
    seconds: float = 0.0

    def __str__(self) -> str:
        rows = [f"{'layer':<44}{'error as cut':>14}{'repaired':>12}"]
        for layer in self.layers:
            path = layer.path if layer.patches else f"{layer.path} (channels)"
            rows.append(f"{path:<44}{layer.before:>14.4g}{layer.after:>12.4g}")
        rows += [f"{path:<44}left as cut: {why}" for path, why in self.left.items()]
        rows.append(f"{len(self.layers)} layers, {self.norms} batch norms, {self.seconds:.1f} s")
        return "\n".join(rows)
