"""MobileNetV2 (Sandler et al., 2018) in its form for 32x32 images."""

import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.models._checks import choice, scaled
from secateurs.models._init import initialise

__all__ = ["InvertedResidual", "MobileNetV2"]

# Expansion, channels, blocks, stride of the first block. The paper's second stage and stem have stride 2.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_STEM, _HEAD = 32, 1280


class InvertedResidual(nn.Module):
    """1x1 convolution to more channels, 3x3 depthwise convolution, 1x1 convolution to few, and a shortcut.

    Args:
        before: channels of the input.
        after: channels of the output.
        expansion: factor on `before` inside the block.
        stride: of the depthwise convolution; without stride 1 there is no shortcut.
        shortcut: see `MobileNetV2`.
    """

    def __init__(self, before: int, after: int, *, expansion: int, stride: int, shortcut: str) -> None:
        super().__init__()
        inner = before * expansion
        # The paper's first block, which does not expand, has no first convolution.
        expands = expansion > 1 or shortcut == "projection"
        self.expand = _convolution(before, inner) if expands else nn.Identity()
        self.expands = expands
        self.depthwise = _convolution(inner, inner, kernel=3, stride=stride, groups=inner)
        self.project = _convolution(inner, after)
        self.shortcut = _shortcut(before, after, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """[N, before, H, W] to [N, after, H / stride, W / stride]; no ReLU at the end."""
        inner = F.relu(self.expand(x)) if self.expands else x
        out: Tensor = self.project(F.relu(self.depthwise(inner)))
        return out if self.shortcut is None else out + self.shortcut(x)


class MobileNetV2(nn.Module):
    """A 3x3 convolution, seven stages of inverted residuals, a 1x1 convolution, average pooling, one linear layer.

    Stem and second stage have stride 1 here, as is the custom for 32x32 images, and ReLU stands for ReLU6.

    Args:
        classes: number of outputs.
        channels: channels of the input image.
        width: factor on the channels of every layer, rounded to whole channels (the paper rounds to eights).
        shortcut: where a block of stride 1 changes the number of channels, "projection" (the custom on CIFAR) adds
            its input through a 1x1 convolution with BatchNorm, and the first block has an expanding convolution too;
            "identity" has neither, as in the paper.
    """

    def __init__(
        self, *, classes: int = 10, channels: int = 3, width: float = 1.0, shortcut: str = "projection"
    ) -> None:
        super().__init__()
        choice("shortcut", shortcut, ("projection", "identity"))
        before = scaled(_STEM, width)
        self.stem = _convolution(channels, before, kernel=3)
        blocks: list[nn.Module] = []
        for expansion, wide, depth, first in _STAGES:
            after = scaled(wide, width)
            for stride in (first, *[1] * (depth - 1)):
                blocks.append(InvertedResidual(before, after, expansion=expansion, stride=stride, shortcut=shortcut))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.head = _convolution(before, scaled(_HEAD, width))
        self.linear = nn.Linear(scaled(_HEAD, width), classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] of any size to logits [N, classes]."""
        x = F.relu(self.head(self.blocks(F.relu(self.stem(x)))))
        logits: Tensor = self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


def _convolution(before: int, after: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    padding = kernel // 2
    convolution = nn.Conv2d(before, after, kernel, stride=stride, padding=padding, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after))


def _shortcut(before: int, after: int, stride: int, kind: str) -> nn.Module | None:
    if stride > 1:
        return None
    if before == after:
        return nn.Identity()
    return _convolution(before, after) if kind == "projection" else None
