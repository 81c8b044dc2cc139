"""Growth of the loss when a filter goes, weight by weight."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

from torch import Tensor

from secateurs._errors import PlanError
from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._kronecker import makers_of, rows_to_units
from secateurs.criteria._registry import register
from secateurs.graph import Graph
from secateurs.statistics import FactorOptions, squared_gradients

__all__ = ["COBD"]

_WHO = "criterion COBD"


@final
@register("c_obd")
@dataclass(frozen=True, kw_only=True)
class COBD(Criterion):
    """Optimal Brain Damage, summed over a filter's weights and its bias ("C-OBD").

        s_i = 1/2 * sum over weights w of row i, of w^2 * F_w, summed over the layers that make unit i
        F_w = mean over images of the squared gradient of the image's own loss by w

    By images of which labels are drawn ("true" Fisher) unless said otherwise. `Fisher(at="weights")` also counts what
    reads a unit, and takes the targets given. Costs about two passes forward and backward.

    Source: Wang et al., EigenDamage: Structured Pruning in the Kronecker-Factored Eigenbasis, 2019; LeCun et al.,
    Optimal Brain Damage, 1990.

    Args:
        factors: `fisher` and `seed` count.

    Raises:
        PlanError: when called, no batches, or an axis that no convolution or linear module makes.
    """

    factors: FactorOptions = field(default_factory=FactorOptions)

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        layers = makers_of(graph, _WHO)
        squares = squared_gradients(graph.model, batches, options=self.factors, loss=loss, layers=layers)
        rows = {}
        for path, layer in layers.items():
            if path not in squares:
                cure = "Its module is not called, or nothing that is learned depends on it; take another criterion."
                raise PlanError(f"{_WHO}, {path}", wanted="gradients of the layer", got="none", cure=cure)
            curvature, of_bias = squares[path]
            rows[path] = 0.5 * (layer.weight.detach().double().flatten(1).square() * curvature).sum(1)
            if layer.bias is not None:
                rows[path] = rows[path] + 0.5 * layer.bias.detach().double().square() * of_bias
        return rows_to_units(graph, rows)
