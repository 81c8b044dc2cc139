"""Decoding, mode by mode."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from secateurs._errors import DataError
from secateurs.data import _decode
from secateurs.data._decode import open_image, stack
from tests.data.making import encoded, picture


def opened(content: bytes, mode: str | None = None) -> Image.Image:
    image = open_image({"bytes": content, "path": None}, "here", mode)
    assert isinstance(image, Image.Image)
    return image


def stacked(*images: Image.Image, resize: int | None = None, channels: int | None = None) -> torch.Tensor:
    return stack((("here", image) for image in images), len(images), resize=resize, channels=channels)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "PPM"])
def test_lossless_kinds_give_the_pixels_back(kind: str) -> None:
    image = picture(1)
    content = io.BytesIO()
    image.save(content, kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert np.array_equal(np.asarray(opened(content.getvalue())), np.asarray(image))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_8_bit_mode_becomes_grey_or_colour(mode: str) -> None:
    image = picture(1).convert(mode)
    images = stacked(image)
    grey = mode in {"1", "L", "LA"}
    assert images.shape == (1, 1 if grey else 3, 8, 8)
    wanted = np.atleast_3d(np.asarray(image.convert("L" if grey else "RGB")))
    assert np.array_equal(images[0].permute(1, 2, 0).numpy(), wanted)


def test_channels_may_be_asked_for() -> None:
    assert np.array_equal(stacked(picture(1), channels=1)[0, 0].numpy(), np.asarray(picture(1).convert("L")))
    assert stacked(picture(1, mode="L"), channels=3).shape == (1, 3, 8, 8)


def test_16_bit_images_are_refused() -> None:
    deep = Image.fromarray(np.full((4, 4), 30_000, dtype=np.uint16))
    with pytest.raises(
        DataError, match=r"here: wanted an image of 8 bits per channel, got one of Pillow's mode 'I;16'"
    ):
        stacked(opened(encoded(deep)))


def test_photographs_are_turned_upright() -> None:
    image = Image.fromarray(np.zeros((4, 6, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    content = io.BytesIO()
    image.save(content, "JPEG", exif=exif)
    assert opened(content.getvalue()).size == (4, 6)


def test_paths_are_opened(tmp_path: Path) -> None:
    picture(2).save(tmp_path / "a.png")
    image = open_image({"bytes": None, "path": str(tmp_path / "a.png")}, "here")
    assert np.array_equal(np.asarray(image), np.asarray(picture(2)))
    with pytest.raises(DataError, match=r"here: .* got .*No such file"):
        open_image({"bytes": None, "path": str(tmp_path / "b.png")}, "here")


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize("side", [8_001, 30_000, 2**31 - 1])
def test_decompression_bombs_are_refused_before_they_are_unpacked(side: int) -> None:
    with pytest.raises(DataError, match=r"here: wanted .*(at most 64,000,000 pixels|can be decoded)"):
        stack(((where, opened(bomb(side, side))) for where in ("here",)), 1, resize=None, channels=None)


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_of_every_kind_give_data_errors_only() -> None:
    generator = np.random.default_rng(0)
    refused = 0
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"):
        whole = np.frombuffer(encoded(picture(1, side=24), kind), dtype=np.uint8)
        for _ in range(40):
            content = whole.copy()
            spots = generator.integers(0, min(len(content), 200), 6)
            content[spots] = generator.integers(0, 256, 6)
            cut = int(generator.integers(1, len(content) + 1))
            try:
                stack([("here", opened(content[:cut].tobytes()))], 1, resize=8, channels=3)
            except DataError:
                refused += 1
    assert refused > 100


def test_more_than_memory_is_one_clear_error() -> None:
    with pytest.raises(DataError, match=r"here: wanted images that fit into memory, got \[\d+, 3, 8, 8\]"):
        stack([("here", picture(0))], 2**55, resize=None, channels=None)


def test_decoding_stays_fast() -> None:
    # A mistake in the choice of decoders doubled the time once: none outside the list may be tried.
    assert set(_decode._FORMATS) == {"PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM", "TIFF"}
    with pytest.raises(DataError, match="bytes in none of the formats PNG"):
        opened(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
