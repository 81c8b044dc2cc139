"""Images and Parquet files: bytes damaged, schemas that nobody expects, folders full of odd files."""

import io
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import torch
from hypothesis import strategies as st
from PIL import Image

from secateurs.data import DataOptions, Splits, load
from secateurs.data._decode import open_header, open_image, stack
from tests.data.making import cells, encoded, picture, write_plain, write_typed
from tests.fuzz._bytes import damaged
from tests.fuzz._target import Target
from tests.fuzz._trees import Tree, damaged_tree

__all__ = ["TARGETS"]

# Its arenas are reserved by the gigabyte, which the bound on memory would take for the file's doing.
pa.set_memory_pool(pa.system_memory_pool())

datasets.disable_progress_bars()

_LABELS = [0, 1, 0, 1, 0, 1, 0, 1]


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(picture(1), "JPEG", exif=exif)


def _images() -> list[bytes]:
    """Every format that is read, in the modes and with the options that take other ways through the decoders."""
    plain, grey = picture(1, side=16), picture(2, mode="L")
    rest = [picture(3, side=16), picture(4, side=16)]
    found = [encoded(plain, kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM", "TIFF")]
    found += [encoded(grey, kind) for kind in ("PNG", "JPEG", "GIF", "PPM", "TIFF")]
    found += [encoded(plain.convert(mode), "PNG") for mode in ("1", "P", "LA", "RGBA")]
    found += [
        _saved(plain, "TIFF", compression=kind) for kind in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    ]
    found += [_saved(plain, kind, save_all=True, append_images=rest) for kind in ("GIF", "WEBP", "PNG", "TIFF")]
    found += [_saved(plain, "JPEG", progressive=True), _saved(plain.convert("CMYK"), "JPEG"), _turned()]
    found += [_saved(plain, "WEBP", lossless=True), _saved(plain.convert("P"), "BMP"), _saved(plain, "PNG", bits=4)]
    deep = Image.fromarray(np.full((4, 4), 30_000, dtype=np.uint16))
    return [*found, encoded(deep, "PNG"), encoded(deep, "TIFF"), b"P6 99999 99999 255\n", b"P4\n1"]


_FILES = _images()


def _image(content: bytes, folder: Path) -> None:
    cell = {"bytes": content, "path": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own, on what it could still read
        header = open_header(cell, "here")
        image = open_image(cell, "here")
        images = stack([("here", image)], 1, resize=None, channels=None)
    assert images.dtype == torch.uint8
    assert images.shape[1] in (1, 3)
    assert sorted(images.shape[2:]) == sorted((header.height, header.width))


def _parquet_files() -> list[bytes]:
    """With and without features, with columns of every kind of label, in several compressions and page forms."""
    images, named = cells(len(_LABELS)), ["cat" if label else "dog" for label in _LABELS]
    columns: dict[str, Any] = {"img": images, "label": _LABELS}
    found = []
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "a.parquet"
        for write in (
            lambda: write_typed(file, columns, ["a", "b"]),
            lambda: write_typed(file, columns, ["a", "b"], mode="RGB"),
            lambda: write_plain(file, columns),
            lambda: write_plain(file, {"img": [cell["bytes"] for cell in images], "label": named}),
        ):
            write()
            found.append(file.read_bytes())
        table = pq.read_table(file)
        for options in (
            {"compression": "zstd"},
            {"compression": "gzip", "data_page_version": "2.0"},
            {"compression": "none", "use_dictionary": False, "row_group_size": 3, "write_page_checksum": True},
            {"compression": "snappy", "column_encoding": "DELTA_LENGTH_BYTE_ARRAY", "use_dictionary": False},
        ):
            pq.write_table(table, file, **options)
            found.append(file.read_bytes())
    return found


_PARQUETS = _parquet_files()


def _right(splits: Splits) -> None:
    """What was taken is images and labels that fit together."""
    for part in (splits.train, splits.validation, splits.test):
        assert len(part.labels) == len(part)
        assert not len(part) or 0 <= int(part.labels.min()) <= int(part.labels.max()) < len(part.classes)
    assert len(splits.mean) == len(splits.std) == splits.train.channels
    assert np.isfinite([*splits.mean, *splits.std]).all()


def _read(path: Path, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _right(load(DataOptions(path=path, **options)))


def _parquet(content: bytes, folder: Path) -> None:
    (folder / "train.parquet").write_bytes(content)
    _read(folder / "train.parquet")


_FEATURES = {"info": {"features": {"img": {"_type": "Image"}, "label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}
_KINDS: tuple[Callable[[], Any], ...] = (
    lambda: pa.array(_LABELS, pa.uint64()),
    lambda: pa.array([*_LABELS[:-1], 2**64 - 1], pa.uint64()),
    lambda: pa.array([*_LABELS[:-1], -(2**63)], pa.int64()),
    lambda: pa.array([*_LABELS[:-1], None], pa.int8()),
    lambda: pa.array([b"\xff\xfe"] * len(_LABELS), pa.binary()).view(pa.string()),
    lambda: pa.array(["é\0", "\u202e", "", "a", "b", "a", "b", "x" * 9999]),
    lambda: pa.array(["a", "b"] * 4).dictionary_encode(),
    lambda: pa.array([cell["bytes"] for cell in cells(len(_LABELS))], pa.large_binary()),
    lambda: pa.array([{"bytes": None, "path": "/dev/zero"}] * len(_LABELS)),
    lambda: pa.array([{"bytes": None, "path": "../x\0y"}] * len(_LABELS)),
    lambda: pa.array([{"bytes": b"", "path": 3}] * len(_LABELS)),
    lambda: pa.array([{"path": "a"}] * len(_LABELS)),
    lambda: pa.array([{}] * len(_LABELS), pa.struct([])),
    lambda: pa.nulls(len(_LABELS)),
    lambda: pa.array([[[1], [2]]] * len(_LABELS)),
    lambda: pa.array([[("k", 1)]] * len(_LABELS), pa.map_(pa.string(), pa.int64())),
    lambda: pa.array([1.5, float("nan")] * 4),
    lambda: pa.array([True, False] * 4),
    lambda: pa.array([10**18] * len(_LABELS), pa.duration("ns")),
    lambda: pa.array([0] * len(_LABELS), pa.time64("ns")),
    lambda: pa.array([0] * len(_LABELS), pa.timestamp("us", tz="Europe/Zurich")),
    lambda: pa.array([1] * len(_LABELS), pa.decimal128(38, 9)),
    lambda: pa.array([b"ab"] * len(_LABELS), pa.binary(2)),
    lambda: pa.array(_LABELS, pa.int32()),
)
_NAMES = ("img", "label", "labels", "image", "", "__class__", "a\0b", "\u202e", "x" * 3000, "fine_label", "..")


@dataclass(frozen=True)
class Schema:
    """A table of odd columns, and what its metadata says of them."""

    columns: tuple[tuple[int, int], ...]
    features: Tree
    good: bool
    raw: bytes | None

    def write(self, file: Path) -> None:
        """A Parquet file; nothing is written where the format has no way to say it."""
        images = pa.array(cells(len(_LABELS)), pa.struct({"bytes": pa.binary(), "path": pa.string()}))
        pairs = [("img", images), ("label", pa.array(_LABELS))] if self.good else []
        pairs += [(_NAMES[name % len(_NAMES)], _KINDS[kind % len(_KINDS)]()) for name, kind in self.columns]
        table = pa.Table.from_arrays([array for _, array in pairs], names=[name for name, _ in pairs])
        try:
            text = self.raw if self.raw is not None else json.dumps(self.features.value()).encode()
        except (ValueError, RecursionError):
            text = b"{" * 9000
        try:
            pq.write_table(table.replace_schema_metadata({"huggingface": text}), file)
        except (pa.ArrowException, NotImplementedError):
            file.write_bytes(b"PAR1PAR1")


def _schema(case: Schema, folder: Path) -> None:
    case.write(folder / "train.parquet")
    _read(folder / "train.parquet")


_WORDS = st.sampled_from((None, "img", "label", "nowhere", "", "a\0b", "x" * 5000, "\ud800", "train", "test"))
_WHOLE = st.sampled_from((None, 1, 0, -1, 2, 8, 16, 8001, 10**9, 10**30))
_SHARES = st.sampled_from((0.1, 0.0, 0.5, 0.999999, 1.0, -1.0, float("nan"), 1e-300))
_STATED = st.fixed_dictionaries(
    {},
    optional={
        "image_column": _WORDS,
        "label_column": _WORDS,
        "resize": _WHOLE,
        "limit": _WHOLE,
        "split_seed": st.sampled_from((0, -1, 2**64, 10**30)),
        "channels": st.sampled_from((None, 1, 3)),
        "validation_ratio": _SHARES,
        "test_ratio": _SHARES,
        "mean": st.sampled_from((None, (), (0.5,), (0.5, 0.5, 0.5), (float("nan"),), (1e308,) * 3)),
        "std": st.sampled_from((None, (), (0.5,), (0.5, 0.5, 0.5), (float("inf"),) * 3, (1e-308,) * 3, (0.0,))),
        "train_split": _WORDS.filter(lambda word: word is not None),
    },
)

_OPTIONS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}), st.just({"resize": 8}), st.just({"resident": True, "channels": 3}), _STATED
)


@dataclass(frozen=True)
class Entry:
    """One thing in a folder."""

    kind: int
    split: int
    label: int
    name: int
    content: bytes

    def make(self, root: Path, layout: int) -> None:
        """Put it there; what the file system cannot hold is left out."""
        split = (("",), ("train", "test"), ("", "train", "test", ".hidden", "a=b"))[layout]
        label = ("cat", "dog", "cat", "dog", "é\u202e", "\udcff", "x" * 255, ".dot", "e f", "a\nb", "con")[
            self.label % 11
        ]
        name = ("a.png", "b.jpg", "c.PNG", "\udcfe.png", ".png", "x" * 251 + ".png", "d.txt", "e.tiff", "a\nb.gif")
        folder = root / split[self.split % len(split)] / label
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{self.name // 9}{name[self.name % (9 if self.name > 80 else 3)]}"
            if not os.path.lexists(file):
                self._put(file, root)
        except (OSError, ValueError):
            return

    def _put(self, file: Path, root: Path) -> None:
        match self.kind % 12:
            case 0:
                os.mkfifo(file)
            case 1:
                file.symlink_to("/dev/zero")
            case 2:
                file.symlink_to(file.name)
            case 3:
                file.symlink_to(root)
            case 4:
                file.mkdir()
            case 5:
                with file.open("wb") as handle:
                    handle.truncate(2**33)  # a hole: gigabytes that take no room
            case _:
                file.write_bytes(self.content)


def _folder(case: tuple[int, list[Entry], dict[str, Any]], folder: Path) -> None:
    layout, entries, options = case
    for entry in entries:
        entry.make(folder, layout)
    _read(folder, **options)


_GOOD = [encoded(picture(number)) for number in range(4)]
_ENTRIES = st.builds(
    Entry,
    st.integers(0, 239).map(lambda kind: kind if kind < 6 else 6),
    st.integers(0, 5),
    st.integers(0, 149).map(lambda label: label if label < 11 else label % 2),
    st.integers(0, 89),
    st.integers(0, 15).flatmap(lambda n: damaged([*_GOOD, *_FILES], most=2) if n == 0 else st.sampled_from(_GOOD)),
)
_SCHEMAS = st.builds(
    Schema,
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), max_size=4).map(tuple),
    damaged_tree([_FEATURES], most=2),
    st.booleans(),
    st.one_of(st.none(), st.none(), damaged([json.dumps(_FEATURES).encode()], most=3)),
)

TARGETS: Mapping[str, Target] = {
    "image bytes": Target(cases=damaged(_FILES, most=4), check=_image, fast=100),
    "parquet bytes": Target(cases=damaged(_PARQUETS, most=3), check=_parquet, fast=60),
    "parquet schema": Target(cases=_SCHEMAS, check=_schema, fast=60),
    "image folder": Target(
        cases=st.tuples(st.sampled_from((0, 0, 1, 1, 2)), st.lists(_ENTRIES, min_size=4, max_size=16), _OPTIONS),
        check=_folder,
        fast=50,
    ),
}
