"""From stored images to one uint8 tensor."""

import io
import stat
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data._libraries import library

__all__ = ["Header", "is_grey", "open_header", "open_image", "pixels", "stack"]

# A few hundred bytes can claim to be a picture of many gigabytes; photographs stay below this.
_PIXEL_LIMIT = 64_000_000
_FILE_LIMIT = 5 * _PIXEL_LIMIT  # bytes; four a pixel where nothing is compressed
# Named, because Pillow tries a dozen rarer decoders first otherwise: twice the time, and more to attack.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM", "TIFF")
# 16-bit and floating modes have no agreed scale, so they are refused.
_GREY_MODES = frozenset({"1", "L", "LA"})
_COLOUR_MODES = frozenset({"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
_ORIENTATION = 0x0112
_FIRST_TURNED = 5  # from this orientation on, width and height change places
# What decoders raise on damaged files; there is no common base class.
_DAMAGED = (
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


@dataclass(frozen=True, kw_only=True)
class Header:
    """What an image's first bytes say, turned as its orientation asks."""

    width: int
    height: int
    grey: bool


def open_image(cell: Mapping[str, Any] | None, where: str, mode: str | None = None) -> Any:
    """The decoded PIL image of a cell {"bytes": ..., "path": ...}; a `DataError` at `where` if it is none.

    `mode` is the Pillow mode that the column states, if any: some encodings know no grey.
    """
    with _opened(cell, where) as image:
        image.load()
        if image.getexif().get(_ORIENTATION, 1) != 1:
            image = library("PIL.ImageOps").exif_transpose(image)
        return image if mode in (None, image.mode) else image.convert(mode)


def open_header(cell: Mapping[str, Any] | None, where: str, mode: str | None = None) -> Header:
    """The size and kind of the same image, without decoding it."""
    with _opened(cell, where) as image:
        # Some formats hide their orientation behind the pixels; a square need not be looked at.
        turned = image.width != image.height and image.getexif().get(_ORIENTATION, 1) >= _FIRST_TURNED
        width, height = (image.height, image.width) if turned else (image.width, image.height)
        return Header(width=width, height=height, grey=is_grey(mode or image.mode))


def is_grey(mode: str) -> bool:
    """Whether a Pillow mode has no colour."""
    return mode in _GREY_MODES


@contextmanager
def _opened(cell: Mapping[str, Any] | None, where: str) -> Iterator[Any]:
    """The image with nothing but its header read; what goes wrong while it is used is a `DataError`."""
    pil = library("PIL.Image")
    if cell is None or (cell["bytes"] is None and cell["path"] is None):
        raise _undecodable(where, "an empty cell")
    try:
        if cell["bytes"] is None:
            _check_file(cell["path"], where)
        with pil.open(cell["path"] if cell["bytes"] is None else io.BytesIO(cell["bytes"]), formats=_FORMATS) as image:
            _check_pixels(image, where)
            yield image
    except pil.UnidentifiedImageError as error:
        raise _undecodable(where, f"bytes in none of the formats {', '.join(_FORMATS)}") from error
    except (pil.DecompressionBombError, pil.DecompressionBombWarning, *_DAMAGED) as error:
        raise _undecodable(where, str(error) or type(error).__name__) from error


def stack(pictures: Iterable[tuple[str, Any]], count: int, *, resize: int | None, channels: int | None) -> Tensor:
    """`count` (where, PIL image) pairs as uint8 [count, C, H, W].

    With `channels` None grey images give one channel; where a colour image is among them, all have three.
    """
    images: npt.NDArray[np.uint8] | None = None
    with warnings.catch_warnings():
        # Pillow warns from half of its own limit on; open_image turns that into an error.
        warnings.simplefilter("error", library("PIL.Image").DecompressionBombWarning)
        for row, (where, picture) in enumerate(pictures):
            image = pixels(picture, where, resize=resize, channels=channels)
            if images is None:
                images = _allocate((count, *image.shape), where)
            _check_size(image.shape, images.shape, where)
            if image.shape[0] > images.shape[1]:
                images = np.repeat(images, image.shape[0], axis=1)
            images[row] = image
    return torch.zeros((0, 1, 1, 1), dtype=torch.uint8) if images is None else torch.from_numpy(images)


def pixels(picture: Any, where: str, *, resize: int | None, channels: int | None) -> npt.NDArray[np.uint8]:
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
    values: npt.NDArray[np.uint8] = np.asarray(picture)
    return values[None] if grey else values.transpose(2, 0, 1)


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


def _check_file(path: str, where: str) -> None:
    """Refuse what opening or reading could take forever: pipes, devices, files of any size that hold nothing."""
    found = Path(path).stat()
    if not stat.S_ISREG(found.st_mode):
        raise _undecodable(where, "no ordinary file")
    if found.st_size > _FILE_LIMIT:
        raise _undecodable(where, f"a file of {found.st_size:,} bytes")


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
