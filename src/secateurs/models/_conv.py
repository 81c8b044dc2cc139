"""Conv2, Conv4, Conv6 (Frankle and Carbin, 2019) and Conv8 (Ramanujan et al., 2020): VGG-like, no biases."""

from torch import Tensor, nn

from secateurs._errors import ConfigError
from secateurs.models._checks import positive_int, scaled
from secateurs.models._init import initialise

__all__ = ["Conv"]

_STAGES = (64, 128, 256, 512)
_HIDDEN = 256


class Conv(nn.Module):
    """Pairs of 3x3 convolutions, each followed by a 2x2 max pool, then three linear layers; no biases.

    Args:
        depth: number of convolutions, 2, 4, 6 or 8.
        classes: number of outputs.
        channels: channels of the input image.
        width: factor on every channel and hidden neuron (`Conv4Wide` and the like).
        size: side of the (square) input image in pixels.
    """

    def __init__(self, *, depth: int, classes: int = 10, channels: int = 3, width: float = 1.0, size: int = 32) -> None:
        super().__init__()
        stages = [scaled(stage, width) for stage in _STAGES[: depth // 2]]
        side = _pooled_side(positive_int("size", size), len(stages))
        layers: list[nn.Module] = []
        for before, after in zip([channels, *stages], stages, strict=False):
            layers += [*_convolution(before, after), *_convolution(after, after), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        hidden = scaled(_HIDDEN, width)
        self.head = nn.Sequential(
            nn.Linear(stages[-1] * side**2, hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, classes, bias=False),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] to logits [N, classes]."""
        logits: Tensor = self.head(self.features(x).flatten(1))
        return logits


def _convolution(before: int, after: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(before, after, 3, padding=1, bias=False), nn.ReLU()


def _pooled_side(size: int, pools: int) -> int:
    side = size >> pools
    if side < 1:
        raise ConfigError(
            "model.size",
            wanted=f"at least {1 << pools} pixels for {pools} poolings",
            got=str(size),
            cure="Take a network with fewer convolutions, or resize the images.",
        )
    return side
