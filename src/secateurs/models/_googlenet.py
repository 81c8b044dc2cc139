"""GoogLeNet (Szegedy et al., 2014) in its form for 32x32 images, with BatchNorm."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.models._checks import scaled
from secateurs.models._init import initialise

__all__ = ["GoogLeNet", "Inception"]

_STEM = 192
# Channels: 1x1; 3x3 with its reduction before it; 5x5 with its reduction; 1x1 behind the pool (the paper's table 1).
_STAGES = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


class Inception(nn.Module):
    """Four ways beside each other, concatenated: 1x1; 1x1 and 3x3; 1x1 and twice 3x3; max pool and 1x1.

    Two 3x3 convolutions stand for the paper's 5x5 (Szegedy et al., 2015).

    Args:
        before: channels of the input.
        widths: channels of the six convolutions of the paper's table, in its order.
    """

    def __init__(self, before: int, widths: Sequence[int]) -> None:
        super().__init__()
        one, three_reduced, three, five_reduced, five, pooled = widths
        self.one = _convolution(before, one, 1)
        self.three = nn.Sequential(_convolution(before, three_reduced, 1), _convolution(three_reduced, three, 3))
        self.five = nn.Sequential(
            _convolution(before, five_reduced, 1), _convolution(five_reduced, five, 3), _convolution(five, five, 3)
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), _convolution(before, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[N, before, H, W] to [N, one + three + five + pooled, H, W]."""
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], 1)


class GoogLeNet(nn.Module):
    """A 3x3 convolution, nine inception modules in three stages, average pooling, one linear layer.

    One 3x3 convolution of 192 channels stands for the paper's stem, which is for 224x224 images; the two auxiliary
    classifiers are left out. Convolutions have biases, as in the paper, although BatchNorm makes them redundant.

    Args:
        classes: number of outputs.
        channels: channels of the input image.
        width: factor on the channels of every convolution.
    """

    def __init__(self, *, classes: int = 10, channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        before = scaled(_STEM, width)
        self.stem = _convolution(channels, before, 3)
        stages: list[nn.Module] = []
        for position, stage in enumerate(_STAGES):
            modules: list[nn.Module] = [nn.MaxPool2d(3, stride=2, padding=1)] if position else []
            for row in stage:
                widths = [scaled(count, width) for count in row]
                modules.append(Inception(before, widths))
                before = widths[0] + widths[2] + widths[4] + widths[5]
            stages.append(nn.Sequential(*modules))
        self.stages = nn.Sequential(*stages)
        self.linear = nn.Linear(before, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] of any size to logits [N, classes]."""
        x = self.stages(self.stem(x))
        logits: Tensor = self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


def _convolution(before: int, after: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU())
