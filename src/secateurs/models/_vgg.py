"""VGG-11, -16 and -19 with BatchNorm (Simonyan and Zisserman, 2014), in their form for 32x32 images."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.models._checks import scaled
from secateurs.models._init import initialise

__all__ = ["VGG"]

_STAGES = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """Five stages of 3x3 convolution, BatchNorm and ReLU, a max pool after each, then one linear layer.

    The paper's three-layer head is for 224x224 images; on CIFAR one layer of 512 inputs is the custom (Li et
    al., 2016). Convolutions have biases, as in the paper, although BatchNorm makes them redundant.

    Args:
        depths: convolutions of each stage.
        classes: number of outputs.
        channels: channels of the input image.
        width: factor on the channels of every stage.
    """

    def __init__(self, *, depths: Sequence[int], classes: int = 10, channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        stages = [scaled(stage, width) for stage in _STAGES]
        layers: list[nn.Module] = []
        for before, after, depth in zip([channels, *stages], stages, depths, strict=False):
            layers += _stage(before, after, depth)
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(stages[-1], classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] of 32 or more pixels a side to logits [N, classes]."""
        x = F.adaptive_avg_pool2d(self.features(x), 1)
        logits: Tensor = self.classifier(x.flatten(1))
        return logits


def _stage(before: int, after: int, depth: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for position in range(depth):
        inputs = before if position == 0 else after
        layers += [nn.Conv2d(inputs, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return [*layers, nn.MaxPool2d(2)]
