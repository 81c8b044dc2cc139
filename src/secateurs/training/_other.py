"""Another network that an objective asks, run as the one that is trained."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from secateurs.training._options import TrainOptions

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["other_network"]


def other_network(model: nn.Module, *, options: TrainOptions, fabric: "Fabric") -> Callable[[Tensor], Any]:
    """The network on the training's device, in evaluation mode, and what calls it there without gradients.

    It has the training's precision, and is compiled where that is. No engine wraps it: several ranks would exchange
    gradients that there are not.
    """
    model.to(fabric.device).eval()
    # After the trained network was compiled, which begins with a reset; never as a CUDA graph, whose results another
    # replay may write over.
    run = torch.compile(model) if options.compile or options.cuda_graphs else model

    def call(images: Tensor) -> Any:
        # Not in inference mode: what it gives meets tensors that have gradients.
        with torch.no_grad(), fabric.autocast():
            return run(images)

    return call
