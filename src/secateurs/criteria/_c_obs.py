"""Growth of the loss when a filter's weights go one by one, each made up for by itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._kronecker import factors_of, makers_of, rows_to_units
from secateurs.criteria._registry import register
from secateurs.graph import Graph
from secateurs.statistics import DAMPING, FactorOptions, Factors, Layer, groups_of, inverse

__all__ = ["COBS"]

_WHO = "criterion COBS"


@final
@register("c_obs")
@dataclass(frozen=True, kw_only=True)
class COBS(Criterion):
    """Optimal Brain Surgeon, summed over a filter's weights ("C-OBS"), with a Kronecker-factored Fisher matrix.

        s_i = 1/2 * sum over j of w_ij^2 / ((S^-1)_ii (A^-1)_jj), summed over the layers that make unit i

    Biases are left out: they are no column of A. The change of other weights that it goes with is
    `eigen.compensated(..., by="weights")`, the sum of the changes for single weights. It counts what correlated weights
    share many times; `KronOBS` does not.

    Source: Wang et al., EigenDamage: Structured Pruning in the Kronecker-Factored Eigenbasis, 2019; Hassibi and Stork,
    Second order derivatives for network pruning: Optimal Brain Surgeon, 1993.

    Args:
        factors: how they are measured; of patches and by the true Fisher unless said otherwise.
        damping: on the factors' diagonals before they are inverted, times their mean eigenvalues.

    Raises:
        PlanError: when called, no batches, or an axis that no convolution or linear module makes.
    """

    factors: FactorOptions = field(default_factory=lambda: FactorOptions(inputs="patch"))
    damping: float = DAMPING

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        layers = makers_of(graph, _WHO)
        found = factors_of(graph, batches, loss, self.factors, _WHO)
        return rows_to_units(graph, {path: self._rows(layer, found[path]) for path, layer in layers.items()})

    def _rows(self, layer: Layer, factors: Factors) -> Tensor:
        groups, width = groups_of(layer), factors.inputs.shape[-1]
        weight = layer.weight.detach().double().reshape(groups, len(layer.weight) // groups, width, -1)
        if width == layer.weight[0].numel():
            weight = weight.flatten(2)[..., None]
        inputs = inverse(factors.inputs, self.damping).diagonal(dim1=1, dim2=2)
        sums = torch.einsum("gock,gc->go", weight.square(), 1 / inputs).flatten()
        return 0.5 * sums / inverse(factors.outputs, self.damping).diagonal()
