"""Residual networks for ImageNet (He et al., 2015, table 1), named as in published weights."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.models._checks import scaled
from secateurs.models._init import initialise

__all__ = ["ImageNetResNet", "PlainBlock", "WideEndBlock"]

_STAGES = (64, 128, 256, 512)


class PlainBlock(nn.Module):
    """Two 3x3 convolutions (ResNet-18 and -34)."""

    expansion = 1

    def __init__(self, before: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(before, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[N, before, H, W] to [N, width, H / stride, W / stride]."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.downsample(x))


class WideEndBlock(nn.Module):
    """The bottleneck: 1x1, 3x3, 1x1 to four times the channels (ResNet-50 and deeper).

    The stride is in the 3x3 convolution, as in the published weights, not in the first 1x1 as in the paper.
    """

    expansion = 4

    def __init__(self, before: int, width: int, *, stride: int) -> None:
        super().__init__()
        after = width * WideEndBlock.expansion
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.downsample = _projection(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[N, before, H, W] to [N, 4 * width, H / stride, W / stride]."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + self.downsample(x))


class ImageNetResNet(nn.Module):
    """A 7x7 stem, four stages of blocks, global average pooling and one linear layer.

    Args:
        block: the kind of block.
        depths: blocks of each stage.
        classes: number of outputs.
        channels: channels of the input image.
        width: factor on the channels of every stage.
    """

    def __init__(
        self,
        *,
        block: type[PlainBlock] | type[WideEndBlock],
        depths: Sequence[int],
        classes: int = 1000,
        channels: int = 3,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        widths = [scaled(stage, width) for stage in _STAGES]
        stem, ends = widths[0], [w * block.expansion for w in widths]
        self.conv1 = nn.Conv2d(channels, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(block, stem, widths[0], blocks=depths[0], stride=1)
        self.layer2 = _stage(block, ends[0], widths[1], blocks=depths[1], stride=2)
        self.layer3 = _stage(block, ends[1], widths[2], blocks=depths[2], stride=2)
        self.layer4 = _stage(block, ends[2], widths[3], blocks=depths[3], stride=2)
        self.fc = nn.Linear(ends[3], classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] of any size to logits [N, classes]."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


def _stage(
    block: type[PlainBlock] | type[WideEndBlock], before: int, width: int, *, blocks: int, stride: int
) -> nn.Sequential:
    first = block(before, width, stride=stride)
    rest = [block(width * block.expansion, width, stride=1) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def _projection(before: int, after: int, stride: int) -> nn.Module:
    if stride == 1 and before == after:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))
