"""What is done to training images, and how it is said."""

from dataclasses import dataclass
from typing import Any, Literal

from secateurs._errors import DataError

__all__ = ["Augment", "Blur", "ColourJitter", "ResizedCrop"]


@dataclass(frozen=True, kw_only=True)
class ResizedCrop:
    """A random rectangle of the image, brought to one size (Szegedy et al. 2015).

    Attributes:
        size: side of the result, in pixels.
        scale: least and greatest area of the rectangle, as a share of the image's.
        ratio: least and greatest width / height, drawn uniformly in its logarithm.
    """

    size: int
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        _check(self.size >= 1, "resized_crop.size", "1 or more pixels", self.size)
        _check(0 < self.scale[0] <= self.scale[1] <= 1, "resized_crop.scale", "0 < low <= high <= 1", self.scale)
        low, high = self.ratio
        _check(0.01 <= low <= high <= 100, "resized_crop.ratio", "0.01 <= low <= high <= 100", self.ratio)


@dataclass(frozen=True, kw_only=True)
class ColourJitter:
    """Random changes of colour, in this order; each factor is uniform in 1 - x .. 1 + x, not below 0.

    Attributes:
        brightness: the factor that all pixels are multiplied by.
        contrast: the factor of a pixel's distance from the image's mean grey.
        saturation: the factor of a pixel's distance from its own grey.
        hue: the greatest turn of the hue either way, in whole turns: 0 to 0.5.
        probability: that an image is changed at all.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    probability: float = 1.0

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            _check(0 <= getattr(self, name) <= 100, f"colour.{name}", "0 to 100", getattr(self, name))
        _check(0 <= self.hue <= 0.5, "colour.hue", "0 to 0.5 turns", self.hue)
        _check_probability("colour.probability", self.probability)


@dataclass(frozen=True, kw_only=True)
class Blur:
    """Gaussian blur.

    Attributes:
        sigma: least and greatest width in pixels; 64 steps between them, one drawn for each image.
        kernel: pixels that the blur reaches over, odd.
        probability: that an image is blurred.
    """

    sigma: tuple[float, float] = (0.1, 2.0)
    kernel: int = 3
    probability: float = 0.5

    def __post_init__(self) -> None:
        _check(0 < self.sigma[0] <= self.sigma[1] <= 1000, "blur.sigma", "0 < low <= high <= 1000", self.sigma)
        _check(self.kernel >= 1 and self.kernel % 2 == 1, "blur.kernel", "an odd number of pixels", self.kernel)
        _check_probability("blur.probability", self.probability)


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What is done to training images, in this order.

    Attributes:
        resized_crop: a random rectangle brought to one size.
        crop: pixels of border put around an image, of which a random window of the image's own size is taken;
            4 is the custom for CIFAR.
        crop_padding: what the border holds: "zeros" is black (before normalisation), "reflect" mirrors the image
            at its edge, whose own pixels are not repeated.
        flip: mirror left and right with this probability; true is one half.
        colour: random brightness, contrast, saturation and hue.
        grayscale: probability that an image loses its colour.
        blur: Gaussian blur.
        cutout: side in pixels of a square around a random point that is filled with the mean, which is zero after
            normalisation (DeVries and Taylor 2017); what is outside the image is lost.
    """

    resized_crop: ResizedCrop | None = None
    crop: int = 0
    crop_padding: Literal["zeros", "reflect"] = "zeros"
    flip: bool | float = False
    colour: ColourJitter | None = None
    grayscale: float = 0.0
    blur: Blur | None = None
    cutout: int = 0

    def __post_init__(self) -> None:
        _check(self.crop >= 0, "augment.crop", "0 or more pixels", self.crop)
        _check(
            self.crop_padding in ("zeros", "reflect"), "augment.crop_padding", "'zeros' or 'reflect'", self.crop_padding
        )
        _check_probability("augment.flip", self.flip)
        _check_probability("augment.grayscale", self.grayscale)
        _check(self.cutout >= 0, "augment.cutout", "0 or more pixels", self.cutout)

    @property
    def flip_probability(self) -> float:
        """`flip` as a number."""
        return 0.5 if self.flip is True else float(self.flip)

    @property
    def recolours(self) -> bool:
        """Whether anything is done to the values of pixels."""
        return self.colour is not None or self.grayscale > 0 or self.blur is not None


def _check_probability(option: str, value: float) -> None:
    _check(0 <= value <= 1, option, "a probability, 0 to 1", value)


def _check(right: bool, option: str, wanted: str, got: Any) -> None:
    if not right:
        raise DataError(option, wanted=wanted, got=repr(got), cure=f"Change {option}.")
