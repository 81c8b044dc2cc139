"""Small images and files for the tests."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from secateurs.data import DataOptions, ImageSet, StreamedSet, load
from secateurs.data._libraries import library


def picture(seed: int, *, side: int = 8, mode: str = "RGB") -> Image.Image:
    """An image of noise that differs for each seed."""
    shape = (side, side) if mode == "L" else (side, side, 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def cells(count: int, *, start: int = 0, **options: Any) -> list[dict[str, Any]]:
    """Cells of an image column, numbered from `start`."""
    return [{"bytes": encoded(picture(start + row, **options)), "path": None} for row in range(count)]


def write_typed(
    path: Path, columns: Mapping[str, Sequence[Any]], names: Sequence[str], mode: str | None = None
) -> None:
    """A Parquet file with Hugging Face features: `img` and `label`."""
    import datasets

    features = datasets.Features({"img": datasets.Image(mode=mode), "label": datasets.ClassLabel(names=list(names))})
    datasets.Dataset.from_dict(dict(columns), features=features).to_parquet(path)


def write_plain(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """A Parquet file as any other program writes it, with no features."""
    import datasets

    table = datasets.Dataset.from_dict(dict(columns)).data.table
    library("pyarrow.parquet").write_table(table.replace_schema_metadata(None), path)


def write_folder(path: Path, classes: Sequence[str], count: int, *, start: int = 0, **options: Any) -> None:
    """`count` PNG files for each class, in a sub-folder named after it."""
    for position, name in enumerate(classes):
        (path / name).mkdir(parents=True)
        for row in range(count):
            picture(start + 100 * position + row, **options).save(path / name / f"{row:03}.png")


def image_set(count: int = 20, *, channels: int = 3, side: int = 8, seed: int = 0) -> ImageSet:
    """Noise with rows numbered from 1000, so that no position passes for an index."""
    generator = torch.Generator().manual_seed(seed)
    return ImageSet(
        images=torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=generator),
        labels=torch.arange(count) % 4,
        indices=torch.arange(count) + 1000,
        classes=("a", "b", "c", "d"),
    )


@dataclass(frozen=True, kw_only=True)
class HeldSplits:
    """`Splits` of images that are held."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet
    mean: tuple[float, ...]
    std: tuple[float, ...]
    name: str


def load_held(options: DataOptions) -> HeldSplits:
    """Load a set that fits into memory."""
    splits = load(options)
    train, validation, test = map(_held, (splits.train, splits.validation, splits.test))
    return HeldSplits(train=train, validation=validation, test=test, mean=splits.mean, std=splits.std, name=splits.name)


def _held(images: ImageSet | StreamedSet) -> ImageSet:
    assert isinstance(images, ImageSet)
    return images
