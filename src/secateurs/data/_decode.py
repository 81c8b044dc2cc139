"""From stored images to one uint8 tensor."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data._libraries import library

__all__ = ["open_image", "stack"]

# A few hundred bytes can claim to be a picture of many gigabytes; photographs stay below this.
_PIXEL_LIMIT = 64_000_000
# Named, because Pillow tries a dozen rarer decoders first otherwise: twice the time, and more to attack.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM", "TIFF")
# 16-bit and floating modes have no agreed scale, so they are refused.
_GREY_MODES = frozenset({"1", "L", "LA"})
_COLOUR_MODES = frozenset({"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
_ORIENTATION = 0x0112


def open_image(cell: Mapping[str, Any] | None, where: str, mode: str | None = None) -> Any:
    """The decoded PIL image of a cell {"bytes": ..., "path": ...}; a `DataError` at `where` if it is none.

    `mode` is the Pillow mode that the column states, if any: some encodings know no grey.
    """
    pil = library("PIL.Image")
    if cell is None or (cell["bytes"] is None and cell["path"] is None):
        raise _undecodable(where, "an empty cell")
    # What decoders raise on damaged files; there is no common base class.
    damaged = (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        struct.error,
        zlib.error,
    )
    try:
        file = cell["path"] if cell["bytes"] is None else io.BytesIO(cell["bytes"])
        image = pil.open(file, formats=_FORMATS)
        _check_pixels(image, where)
        image.load()
        if image.getexif().get(_ORIENTATION, 1) != 1:
            image = library("PIL.ImageOps").exif_transpose(image)
        if mode not in (None, image.mode):
            image = image.convert(mode)
    except pil.UnidentifiedImageError as error:
        raise _undecodable(where, f"bytes in none of the formats {', '.join(_FORMATS)}") from error
    except (pil.DecompressionBombError, pil.DecompressionBombWarning, *damaged) as error:
        raise _undecodable(where, str(error) or type(error).__name__) from error
    return image


def stack(pictures: Iterable[tuple[str, Any]], count: int, *, resize: int | None, channels: int | None) -> Tensor:
    """`count` (where, PIL image) pairs as uint8 [count, C, H, W].

    With `channels` None grey images give one channel; where a colour image is among them, all have three.
    """
    images: npt.NDArray[np.uint8] | None = None
    with warnings.catch_warnings():
        # Pillow warns from half of its own limit on; open_image turns that into an error.
        warnings.simplefilter("error", library("PIL.Image").DecompressionBombWarning)
        for row, (where, picture) in enumerate(pictures):
            pixels = _pixels(picture, where, resize=resize, channels=channels)
            if images is None:
                images = _allocate((count, *pixels.shape), where)
            _check_size(pixels.shape, images.shape, where)
            if pixels.shape[0] > images.shape[1]:
                images = np.repeat(images, pixels.shape[0], axis=1)
            images[row] = pixels
    return torch.zeros((0, 1, 1, 1), dtype=torch.uint8) if images is None else torch.from_numpy(images)


def _pixels(picture: Any, where: str, *, resize: int | None, channels: int | None) -> npt.NDArray[np.uint8]:
    """[C, H, W]; transparency is dropped."""
    if picture.mode not in _GREY_MODES | _COLOUR_MODES:
        raise DataError(
            where,
            wanted="an image of 8 bits per channel",
            got=f"one of Pillow's mode {picture.mode!r}",
            cure="Convert the image to 8-bit grey or RGB.",
        )
    grey = picture.mode in _GREY_MODES if channels is None else channels == 1
    mode = "L" if grey else "RGB"
    picture = picture if picture.mode == mode else picture.convert(mode)
    if resize is not None and picture.size != (resize, resize):
        picture = picture.resize((resize, resize), library("PIL.Image").Resampling.BILINEAR)
    pixels: npt.NDArray[np.uint8] = np.asarray(picture)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


def _allocate(shape: tuple[int, ...], where: str) -> npt.NDArray[np.uint8]:
    try:
        return np.empty(shape, dtype=np.uint8)
    except MemoryError as error:
        raise DataError(
            where,
            wanted="images that fit into memory",
            got=f"{list(shape)}, {np.prod(shape, dtype=object):,} bytes",
            cure="Set data.resize or data.limit to less.",
        ) from error


def _check_pixels(image: Any, where: str) -> None:
    if image.width * image.height > _PIXEL_LIMIT:
        raise DataError(
            where,
            wanted=f"at most {_PIXEL_LIMIT:,} pixels",
            got=f"{image.width} x {image.height}",
            cure="Make the image smaller, or remove it.",
        )


def _check_size(got: tuple[int, ...], wanted: tuple[int, ...], where: str) -> None:
    if got[1:] != wanted[2:]:
        raise DataError(
            where,
            wanted=f"{wanted[3]} x {wanted[2]} pixels, as the images before it",
            got=f"{got[2]} x {got[1]}",
            cure=f"Set data.resize={min(wanted[2:])}, for example, to bring all images to one size.",
        )


def _undecodable(where: str, got: str) -> DataError:
    return DataError(where, wanted="an image that can be decoded", got=got, cure="Replace or remove this image.")
