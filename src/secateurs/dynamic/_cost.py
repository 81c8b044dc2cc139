"""What a gated network costs: at most, and as its gates decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from secateurs._errors import GraphError
from secateurs.dynamic._gated import CHILD
from secateurs.dynamic._gating import gates_of
from secateurs.graph import trace

__all__ = ["GatedCost", "gated_cost"]


@dataclass(frozen=True, kw_only=True)
class GatedCost:
    """Multiply-adds of one call on the traced arguments.

    Attributes:
        macs: with every block; gates included. What `secateurs.cost` says too.
        gate_macs: of all gates together.
        blocks: what skipping each block saves: all of it but the projection on its skip path and its gate.
    """

    macs: int
    gate_macs: int
    blocks: Mapping[str, int]

    @property
    def shares(self) -> tuple[float, ...]:
        """Of each block in what all blocks with gates cost; they add up to 1."""
        total = sum(self.blocks.values())
        return tuple(macs / total if total else 1 / len(self.blocks) for macs in self.blocks.values())

    def expected(self, rates: Sequence[float]) -> float:
        """Multiply-adds where each block runs at this rate, in the order of `blocks`; gates included."""
        saved = sum((1 - rate) * macs for rate, macs in zip(rates, self.blocks.values(), strict=True))
        return self.macs - saved


def gated_cost(
    model: nn.Module,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
) -> GatedCost:
    """The cost of a network with gates, by block; nothing is computed.

    Args:
        args, kwargs: an example call, given in any of the ways of `trace`; the batch it holds counts in full.

    Raises:
        GraphError: the model has no gates, or fails on these arguments.
    """
    gates = gates_of(model)
    if not gates:
        cure = "Put gates in: secateurs.dynamic.gate(model, args=(x,))."
        raise GraphError(type(model).__name__, wanted="a network with gates", got="one without", cure=cure)
    graph = trace(model, args, kwargs)
    macs = {path: counted.forward // 2 for path, counted in graph.operations().items()}
    return GatedCost(
        macs=graph.cost().macs,
        gate_macs=sum(count for path, count in macs.items() if f".{CHILD}." in f".{path}."),
        blocks={
            path: _below(macs, path) - sum(_below(macs, f"{path}.{name}") for name in (CHILD, *gate.path.modules))
            for path, gate in gates.items()
        },
    )


def _below(macs: Mapping[str, int], path: str) -> int:
    return sum(count for other, count in macs.items() if other == path or other.startswith(f"{path}."))
