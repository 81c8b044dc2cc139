"""The multi-layer perceptron, LeNet-300-100 by default (LeCun et al., 1998)."""

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.models._checks import positive_int, positive_ints

__all__ = ["MLP"]


class MLP(nn.Module):
    """Linear layers with ReLU between them, on flattened images.

    Args:
        classes: number of outputs.
        channels: channels of the input image.
        widths: neurons of each hidden layer; empty for a linear classifier.
        size: side of the (square) input image in pixels.
        bias: whether the layers have biases.
    """

    def __init__(
        self,
        *,
        classes: int = 10,
        channels: int = 1,
        widths: Sequence[int] = (300, 100),
        size: int = 28,
        bias: bool = True,
    ) -> None:
        super().__init__()
        inputs = channels * positive_int("size", size) ** 2
        sizes = (inputs, *positive_ints("widths", widths))
        self.hidden = nn.ModuleList(nn.Linear(a, b, bias=bias) for a, b in itertools.pairwise(sizes))
        self.head = nn.Linear(sizes[-1], classes, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, classes]."""
        x = x.flatten(1)
        for layer in self.hidden:
            x = F.relu(layer(x))
        logits: Tensor = self.head(x)
        return logits
