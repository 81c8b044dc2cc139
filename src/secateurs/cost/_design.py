"""What a design costs to run, to train and to keep, in GOps and MB."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from secateurs.cost._training import TrainingCost
from secateurs.graph import Operations, trace

__all__ = ["design_gops"]


def design_gops(model: nn.Module, example: Tensor, *, minibatch: int, epoch_images: int) -> dict[str, Any]:
    """Figures of one network as a JSON object.

    Args:
        model: the network.
        example: at least one image, [N, C, H, W].
        minibatch: images in a minibatch.
        epoch_images: images that one epoch of training sees.

    Returns:
        `inference_gops` (forward) of a `minibatch` and of an `image`; `training_gops` (forward and backward) of a
        `minibatch`, of an `image` and of an `epoch`, with the image's `parts`; `memory_mb`: `parameters`, and
        `activations`, the most that is alive at once while one image passes; `params`; `layers`: the parts of each
        layer for one image, in GOps; `uncounted`: operators without multiply-adds, and how often they run.
    """
    one = trace(model, example[:1])
    image = TrainingCost.of(one)
    batch = TrainingCost.of(trace(model, example[:1].expand(minibatch, *example.shape[1:])))
    cost = one.cost(train=False)
    sizes = [parameter.numel() * parameter.element_size() for parameter in model.parameters()]
    return {
        "inference_gops": {"minibatch": batch.minibatch.forward / 1e9, "image": image.inference_gops},
        "training_gops": {
            "minibatch": batch.minibatch.total / 1e9,
            "image": image.image_gops,
            "epoch": image.epoch_gops(epoch_images),
            "parts": _gops(image.minibatch),
        },
        "memory_mb": {"parameters": sum(sizes) / 1e6, "activations": cost.activation_bytes / 1e6},
        "params": cost.params,
        "layers": {path: _gops(layer) for path, layer in image.layers.items()},
        "uncounted": dict(cost.uncounted),
    }


def _gops(operations: Operations) -> Mapping[str, float]:
    return {name: count / 1e9 for name, count in asdict(operations).items()}
