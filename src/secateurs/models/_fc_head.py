"""Two small convolutions before a head of linear layers, which holds nearly all of the parameters."""

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import ConfigError
from secateurs.models._checks import positive_int, positive_ints

__all__ = ["FCHead"]

_FILTERS = (16, 32)


class FCHead(nn.Module):
    """3x3 convolutions to 16 and 32 channels, ReLU and 2x2 max pool after each, then linear layers with ReLU between.

    The network of the published train-time pruning of neurons on CIFAR: 2048-256-128-classes without biases in the
    linear layers.

    Args:
        classes: number of outputs.
        channels: channels of the input image.
        widths: neurons of each hidden linear layer.
        size: side of the (square) input image in pixels.
    """

    def __init__(
        self, *, classes: int = 10, channels: int = 3, widths: Sequence[int] = (256, 128), size: int = 32
    ) -> None:
        super().__init__()
        side = positive_int("size", size) // 4
        if side < 1:
            cure = "Resize the images, or take a network without poolings."
            raise ConfigError("model.size", wanted="at least 4 pixels for two poolings", got=str(size), cure=cure)
        self.conv1 = nn.Conv2d(channels, _FILTERS[0], 3, padding=1)
        self.conv2 = nn.Conv2d(*_FILTERS, 3, padding=1)
        sizes = (_FILTERS[1] * side**2, *positive_ints("widths", widths))
        self.hidden = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(sizes))
        self.head = nn.Linear(sizes[-1], classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, classes]."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        for layer in self.hidden:
            x = F.relu(layer(x))
        logits: Tensor = self.head(x)
        return logits
