"""How sensitive the loss is to a unit's connections."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from secateurs.criteria._pass import Listener, Seen, Streamed
from secateurs.criteria._registry import register
from secateurs.criteria._weights import WeightSums, connections, slopes
from secateurs.graph import Graph

__all__ = ["SNIP"]


@final
@register("snip")
@dataclass(frozen=True, kw_only=True)
class SNIP(Streamed):
    """The sensitivity of the loss to a unit's connections, as a share of that to all connections,

        s_u = (sum over weights w of u of |w * dL/dw|) / (sum over all weights w of |w * dL/dw|)

    where L is the mean loss over all images, and the weights of a unit are those, of two dims or more, that make it or
    read it. In an axis without such weights all parameters count. Meant for networks before training, and as good for
    trained ones. Gradients are summed over all images first, so batches may be of any size if the loss is the mean
    over a batch. One forward and backward pass, one number per weight as memory.

    Evaluation mode: batch norms use their running statistics, which at initialisation pass everything on.

    Source: Lee et al., SNIP: Single-shot Network Pruning based on Connection Sensitivity, 2019.

    Raises:
        PlanError: when called, no batches or no loss.
    """

    def listen(self, graph: Graph) -> Listener:
        """See the class."""
        sums = WeightSums(graph, {axis.name: connections(graph, axis) for axis in graph.axes})
        gradients = {path: torch.zeros_like(slopes(graph, path, graph.tensor(path).detach())) for path in sums.paths}

        def weights(found: Mapping[str, Tensor], images: int) -> None:
            for path, total in gradients.items():
                total.add_(found[path], alpha=images)

        def finish(seen: Seen) -> Mapping[str, Tensor]:
            del seen
            total = torch.zeros((), dtype=torch.float64)
            for path, gradient in gradients.items():
                sensitivity = slopes(graph, path, gradient).abs()
                sums.add(path, sensitivity)
                total += sensitivity.sum(dtype=torch.float64).cpu()
            tiny = torch.finfo(torch.float64).tiny
            return {name: found / total.clamp(min=tiny) for name, found in sums.per_unit().items()}

        return Listener(sums=[*gradients.values()], weights=weights, finish=finish)
