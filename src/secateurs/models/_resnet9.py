"""The nine-layer residual network of the DAWNBench CIFAR-10 races (Page, 2018)."""

import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.models._checks import scaled
from secateurs.models._init import initialise

__all__ = ["ResNet9"]

_STAGES = (64, 128, 256, 512)


class ResNet9(nn.Module):
    """conv 64; conv 128, pool, residual; conv 256, pool; conv 512, pool, residual; global max pool; linear.

    Every convolution is 3x3 without bias, followed by BatchNorm and ReLU; a residual is `x + f(f(x))`. The
    original multiplies the logits by 0.125 and has no bias in the linear layer; here the logits are not
    scaled and the layer has one, as in the many versions after it (6,573,130 parameters for 10 classes).

    Args:
        classes: number of outputs.
        channels: channels of the input image.
        width: factor on the channels of every stage.
    """

    def __init__(self, *, classes: int = 10, channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        prep, first, second, third = (scaled(stage, width) for stage in _STAGES)
        self.prep = _ConvBlock(channels, prep)
        self.layer1 = _ConvBlock(prep, first)
        self.residual1 = nn.Sequential(_ConvBlock(first, first), _ConvBlock(first, first))
        self.layer2 = _ConvBlock(first, second)
        self.layer3 = _ConvBlock(second, third)
        self.residual3 = nn.Sequential(_ConvBlock(third, third), _ConvBlock(third, third))
        self.linear = nn.Linear(third, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] of 8 or more pixels a side to logits [N, classes]."""
        x = F.max_pool2d(self.layer1(self.prep(x)), 2)
        x = x + self.residual1(x)
        x = F.max_pool2d(self.layer2(x), 2)
        x = F.max_pool2d(self.layer3(x), 2)
        x = x + self.residual3(x)
        logits: Tensor = self.linear(F.adaptive_max_pool2d(x, 1).flatten(1))
        return logits


class _ConvBlock(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))
