"""Residual networks for 32x32 images, depth 6n+2 (He et al., 2015, section 4.2)."""

import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.models._checks import choice, scaled
from secateurs.models._init import initialise

__all__ = ["BasicBlock", "CifarResNet", "PadShortcut"]

_STAGES = (16, 32, 64)


class PadShortcut(nn.Module):
    """Option A: every second pixel, and zero channels where the block has more of them than its input.

    `before` and `after` are plain numbers read at each call, so that they can be set when channels of either
    side are removed and the stream's axes stay cuttable.
    """

    def __init__(self, *, before: int, after: int) -> None:
        super().__init__()
        self.before = before
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, before + C + after, ceil(H / 2), ceil(W / 2)]."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.before, self.after))

    def extra_repr(self) -> str:
        """Shown by `print(model)`."""
        return f"before={self.before}, after={self.after}"


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm, and a shortcut around them."""

    def __init__(self, before: int, after: int, *, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = _shortcut(before, after, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """[N, before, H, W] to [N, after, H / stride, W / stride]."""
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class CifarResNet(nn.Module):
    """Three stages of `blocks` basic blocks; 16, 32 and 64 channels times `width`.

    Args:
        blocks: blocks per stage, (depth - 2) / 6.
        classes: number of outputs.
        channels: channels of the input image.
        width: factor on the channels of every stage.
        shortcut: where the shape changes, "A" pads with zeros (no parameters), "B" projects by a 1x1
            convolution with BatchNorm.
    """

    def __init__(
        self, *, blocks: int, classes: int = 10, channels: int = 3, width: float = 1.0, shortcut: str = "A"
    ) -> None:
        super().__init__()
        choice("shortcut", shortcut, ("A", "B"))
        first, second, third = (scaled(stage, width) for stage in _STAGES)
        self.conv1 = nn.Conv2d(channels, first, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.layer1 = _stage(first, first, blocks=blocks, stride=1, shortcut=shortcut)
        self.layer2 = _stage(first, second, blocks=blocks, stride=2, shortcut=shortcut)
        self.layer3 = _stage(second, third, blocks=blocks, stride=2, shortcut=shortcut)
        self.linear = nn.Linear(third, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] of any size to logits [N, classes]."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


def _stage(before: int, after: int, *, blocks: int, stride: int, shortcut: str) -> nn.Sequential:
    first = BasicBlock(before, after, stride=stride, shortcut=shortcut)
    rest = [BasicBlock(after, after, stride=1, shortcut=shortcut) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def _shortcut(before: int, after: int, stride: int, kind: str) -> nn.Module:
    if stride == 1:
        return nn.Identity()
    if kind == "A":
        # Half of the new channels on either side, as in the published weights.
        half = (after - before) // 2
        return PadShortcut(before=half, after=after - before - half)
    return nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))
