"""Growth of the loss when a filter goes and the others of its layer make up for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

from torch import Tensor

from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._kronecker import factors_of, makers_of, row_energy, rows_to_units
from secateurs.criteria._registry import register
from secateurs.graph import Graph
from secateurs.statistics import DAMPING, FactorOptions, inverse

__all__ = ["KronOBS"]

_WHO = "criterion KronOBS"


@final
@register("kron_obs")
@dataclass(frozen=True, kw_only=True)
class KronOBS(Criterion):
    """Optimal Brain Surgeon for whole filters.

        s_i = 1/2 * (w_i' A w_i) / (S^-1)_ii, summed over the layers that make unit i

    It is the growth of the loss after the best change of the layer's other filters, which `eigen.compensated` makes;
    a score without that promises too much. Otherwise as `KronOBD`.

    Source: Wang et al., EigenDamage: Structured Pruning in the Kronecker-Factored Eigenbasis, 2019.

    Args:
        factors: how they are measured; of patches and by the true Fisher unless said otherwise.
        damping: on S's diagonal before it is inverted, times its mean eigenvalue.

    Raises:
        PlanError: when called, no batches, or an axis that no convolution or linear module makes.
    """

    factors: FactorOptions = field(default_factory=lambda: FactorOptions(inputs="patch"))
    damping: float = DAMPING

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        layers = makers_of(graph, _WHO)
        found = factors_of(graph, batches, loss, self.factors, _WHO)
        rows = {
            path: 0.5 * row_energy(layer, found[path]) / inverse(found[path].outputs, self.damping).diagonal()
            for path, layer in layers.items()
        }
        return rows_to_units(graph, rows)
