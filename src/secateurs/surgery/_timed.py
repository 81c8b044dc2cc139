"""How much faster a model gets by a plan: measured on the model once it is cut."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from secateurs.cost import latency_pair
from secateurs.graph import Plan
from secateurs.selection import Probing
from secateurs.surgery._apply import apply

__all__ = ["LatencyOptions", "latency_removed"]


@dataclass(frozen=True, kw_only=True)
class LatencyOptions:
    """How a latency in `remove` is measured and approached.

    Attributes:
        batch_size: samples per call.
        runs, warmup: calls timed, and calls before them, of the dense model and of the cut one in turns.
        tolerance: what is removed may be more than what was asked by this fraction of the dense latency. Medians of a
            quiet machine repeat to about a hundredth; on a busy one, take more.
        probes: cut models measured at most.
    """

    batch_size: int = 1
    runs: int = 30
    warmup: int = 5
    tolerance: float = 0.02
    probes: int = 8

    @property
    def probing(self) -> Probing:
        """The same for `select_measured`."""
        return Probing(name="latency", tolerance=self.tolerance, probes=self.probes)


def latency_removed(
    model: nn.Module,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    options: LatencyOptions | None = None,
) -> Callable[[Plan], float]:
    """A `measure` for `selection.select_measured`: the fraction of the model's latency that a plan removes.

    Each plan is carried out on a copy, without proof, which is timed in turns with the model, where the model is.

    Args:
        model: the dense model.
        args, kwargs: an example call, as for `latency`.
        options: how to measure.
    """
    how = options or LatencyOptions()

    def measure(plan: Plan) -> float:
        small = apply(model, plan, verify=False).model
        sizes = (how.batch_size,)
        pair = latency_pair(model, small, args, kwargs, batch_sizes=sizes, runs=how.runs, warmup=how.warmup)
        return 1 - pair.ratios[0]

    return measure
