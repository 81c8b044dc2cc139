"""How a recipe says what batches are made of."""

from dataclasses import fields

from pydantic.dataclasses import dataclass as checked_dataclass

from secateurs.data import Augment, Blur, ColourJitter, ResizedCrop
from secateurs.recipes._section import STRICT_DATACLASS, Count, SaysWhere

__all__ = ["AugmentSection", "BatchesSection"]


# Each inherits, so that every option of the data room is an option here, with nothing said twice. Pydantic knows where
# in the file a wrong value stands, the options do not; it takes a ValueError from them.
@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class ResizedCropSection(SaysWhere, ResizedCrop):
    """Random resized crops: every option of `ResizedCrop`."""


@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class ColourSection(SaysWhere, ColourJitter):
    """Random colours: every option of `ColourJitter`."""


@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class BlurSection(SaysWhere, Blur):
    """Random blur: every option of `Blur`."""


@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class AugmentSection(SaysWhere, Augment):
    """What is done to images: every option of `Augment`."""

    resized_crop: ResizedCropSection | None = None
    """A random rectangle brought to one size; where images are judged, their centre is brought to it."""
    colour: ColourSection | None = None
    """Random brightness, contrast, saturation and hue."""
    blur: BlurSection | None = None
    """Gaussian blur."""

    def augment(self) -> Augment:
        """The same options as the data room knows them."""
        return Augment(**{option.name: getattr(self, option.name) for option in fields(Augment)})


@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class BatchesSection(AugmentSection):
    """How training images become batches: their number, and every option of `Augment`."""

    size: Count = 128
    """Images in a batch."""
    epoch_images: Count | str | tuple[str | int, ...] | None = None
    """Training images in an epoch, drawn anew for each from all that there are: a number; or classes, as `data.classes`
    says them, for as many as there are of these. None for all."""

    def fit(self) -> int | None:
        """The side that images are brought to where they are judged; None for what they are."""
        return None if self.resized_crop is None else self.resized_crop.size
