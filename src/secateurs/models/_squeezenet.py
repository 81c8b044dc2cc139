"""SqueezeNet (Iandola et al., 2016) in its form for 32x32 images, with BatchNorm."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.models._checks import scaled
from secateurs.models._init import initialise

__all__ = ["Fire", "SqueezeNet"]

_STEM = 96
# Channels of the squeezing convolution and of each expanding one; a 2x2 max pool goes before each row.
_STAGES = (((16, 64), (16, 64), (32, 128)), ((32, 128), (48, 192), (48, 192), (64, 256)), ((64, 256),))


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then a 1x1 and a 3x3 convolution beside each other, concatenated."""

    def __init__(self, before: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = _convolution(before, squeeze, 1)
        self.narrow = _convolution(squeeze, expand, 1)
        self.wide = _convolution(squeeze, expand, 3)

    def forward(self, x: Tensor) -> Tensor:
        """[N, before, H, W] to [N, 2 * expand, H, W]."""
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.narrow(x), self.wide(x)], 1))


class SqueezeNet(nn.Module):
    """A 3x3 convolution of stride 1, eight fire modules, a 1x1 convolution to the classes, average pooling.

    It gives logits. Some versions end in a log-softmax, which cross-entropy would apply again without any effect.

    Args:
        classes: number of outputs.
        channels: channels of the input image.
        width: factor on the channels of every convolution but the last.
    """

    def __init__(self, *, classes: int = 10, channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        before = scaled(_STEM, width)
        self.stem = _convolution(channels, before, 3)
        stages: list[nn.Module] = []
        for stage in _STAGES:
            modules: list[nn.Module] = [nn.MaxPool2d(2)]
            for squeeze, expand in stage:
                modules.append(Fire(before, scaled(squeeze, width), scaled(expand, width)))
                before = 2 * scaled(expand, width)
            stages.append(nn.Sequential(*modules))
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Conv2d(before, classes, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] of 8 or more pixels a side to logits [N, classes]."""
        x = self.classifier(self.stages(F.relu(self.stem(x))))
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


def _convolution(before: int, after: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, kernel, padding=kernel // 2), nn.BatchNorm2d(after))
