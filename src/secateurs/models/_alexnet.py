"""AlexNet in its form for 32x32 images: five convolutions and one linear layer, no BatchNorm."""

import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.models._checks import scaled
from secateurs.models._init import initialise

__all__ = ["AlexNet"]

_WIDTHS = (64, 192, 384, 256, 256)


class AlexNet(nn.Module):
    """An 11x11, a 5x5 and three 3x3 convolutions with ReLU; 2x2 max pools after the first, second and last.

    The widths are those of Krizhevsky, 2014, with one tower. The paper's three linear layers are for 224x224 images;
    on CIFAR one layer of 256 inputs is the custom, and the first convolution pads 5 to give 8x8 positions.

    Args:
        classes: number of outputs.
        channels: channels of the input image.
        width: factor on the channels of every convolution.
    """

    def __init__(self, *, classes: int = 10, channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        first, second, third, fourth, last = (scaled(count, width) for count in _WIDTHS)
        self.features = nn.Sequential(
            *(nn.Conv2d(channels, first, 11, stride=4, padding=5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(first, second, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(second, third, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(third, fourth, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(fourth, last, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        )
        self.classifier = nn.Linear(last, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] of 29 or more pixels a side to logits [N, classes]."""
        x = F.adaptive_avg_pool2d(self.features(x), 1)
        logits: Tensor = self.classifier(x.flatten(1))
        return logits
