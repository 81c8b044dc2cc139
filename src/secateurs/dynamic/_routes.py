"""Which way images take."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from secateurs.dynamic._policies import Thresholded, Watched
from secateurs.dynamic._route import deciding

__all__ = ["Routes", "routes"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Routes:
    """The ways that images took, in their order.

    Attributes:
        runs: bool [images, gates]: the block behind the gate was computed.
        labels: int64 [images].
        correct: bool [images]: the right class had the highest score.
    """

    runs: Tensor
    labels: Tensor
    correct: Tensor

    @property
    def rates(self) -> tuple[float, ...]:
        """The fraction of images that each gate lets through its block."""
        return tuple(self.runs.double().mean(0).tolist())

    @property
    def depths(self) -> Tensor:
        """Blocks with gates that were computed for each image: int64 [images]."""
        return self.runs.sum(1)

    @property
    def histogram(self) -> tuple[int, ...]:
        """Images by the number of blocks that were computed for them, from none to all."""
        return tuple(torch.bincount(self.depths, minlength=self.runs.shape[1] + 1).tolist())

    def depth_by_class(self, classes: int) -> tuple[float | None, ...]:
        """The mean depth of each class's images; None where there are none."""
        chosen = [self.depths[self.labels == label] for label in range(classes)]
        return tuple(float(depths.double().mean()) if len(depths) else None for depths in chosen)

    def extremes(self, count: int) -> tuple[Tensor, Tensor]:
        """The places of the images with the shortest ways, shortest first, and with the longest, longest first.

        Equal ways go by the order of images.
        """
        order = self.depths.argsort(stable=True)
        return order[:count], (-self.depths).argsort(stable=True)[:count]


@torch.no_grad()
def routes(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Routes:
    """Run a gated model over all batches in evaluation mode, on its own device; its flags are left as they were.

    Args:
        batches: pairs of images and labels int64 [B].

    Raises:
        GraphError: the model has no gates.
    """
    flags = [(module, module.training) for module in model.modules()]
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    runs, seen, correct = [], [], []
    try:
        model.eval()
        for images, labels in batches:
            watched = Watched(Thresholded())
            with deciding(model, watched):
                scores = model(images.to(device))
            runs.append(torch.stack(watched.masks, 1) > 0)
            seen.append(labels)
            correct.append(scores.argmax(1) == labels.to(device))
    finally:
        for module, training in flags:
            module.training = training
    return Routes(runs=torch.cat(runs).cpu(), labels=torch.cat(seen).cpu(), correct=torch.cat(correct).cpu())
