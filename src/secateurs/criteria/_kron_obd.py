"""Growth of the loss when a filter goes, with a Kronecker-factored Fisher matrix; nothing else moves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

from torch import Tensor

from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._kronecker import factors_of, makers_of, row_energy, rows_to_units
from secateurs.criteria._registry import register
from secateurs.graph import Graph
from secateurs.statistics import FactorOptions

__all__ = ["KronOBD"]

_WHO = "criterion KronOBD"


@final
@register("kron_obd")
@dataclass(frozen=True, kw_only=True)
class KronOBD(Criterion):
    """Optimal Brain Damage for whole filters, whose weights interact through the inputs they share.

        s_i = 1/2 * S_ii * w_i' A w_i, summed over the layers that make unit i

    w_i is all that makes the output: its weights, patch-wise, and its bias. A and S are the Kronecker factors of the
    layer's Fisher matrix (`secateurs.statistics.kronecker_factors`). Where a sum ties layers, take axes of kind
    "branch". (The published code computes w_i^2 A instead, which is something else.)

    Costs a pass forward and backward and, with factors of patches, A's products.

    Source: Wang et al., EigenDamage: Structured Pruning in the Kronecker-Factored Eigenbasis, 2019.

    Args:
        factors: how they are measured; of patches and by the true Fisher unless said otherwise.

    Raises:
        PlanError: when called, no batches, or an axis that no convolution or linear module makes.
    """

    factors: FactorOptions = field(default_factory=lambda: FactorOptions(inputs="patch"))

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        layers = makers_of(graph, _WHO)
        found = factors_of(graph, batches, loss, self.factors, _WHO)
        rows = {
            path: 0.5 * found[path].outputs.diagonal().double() * row_energy(layer, found[path])
            for path, layer in layers.items()
        }
        return rows_to_units(graph, rows)
