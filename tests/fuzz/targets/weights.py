"""Weights: safetensors files whose header, metadata or content is damaged."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from hypothesis import strategies as st
from torch import nn

from secateurs import SecateursError
from secateurs._files import load_tensors, save_tensors
from secateurs.recipes import load_weights
from secateurs.surgery import apply, load, save
from secateurs.surgery._apply import HISTORY
from tests.fuzz._bytes import damaged
from tests.fuzz._headers import joined, parts
from tests.fuzz._sealing import resealed
from tests.fuzz._target import Target
from tests.fuzz._trees import Tree, damaged_tree
from tests.fuzz.targets.plans import MODELS, Example
from tests.zoo import ZOO

__all__ = ["TARGETS"]

_DTYPES = (
    "F64",
    "F32",
    "F16",
    "BF16",
    "I64",
    "I32",
    "I16",
    "I8",
    "U8",
    "U16",
    "U32",
    "U64",
    "BOOL",
    "F8_E4M3",
    "F8_E5M2",
)
_RARE = ("F8_E8M0", "F4", "F6_E2M3", "F6_E3M2", "C64", "X1", "")


def _bytes_of(model: nn.Module, folder: Path) -> bytes:
    save(model, folder / "saved.safetensors")
    content = (folder / "saved.safetensors").read_bytes()
    (folder / "saved.safetensors").unlink()
    return content


def _files() -> list[bytes]:
    """For each of the models: cut, and as it was."""
    import tempfile

    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            example = Example.of(name)
            result = apply(example.model.float(), example.graph.plan(example.content["removed"]), verify=False)
            found += [_bytes_of(result.model, Path(folder)), _bytes_of(example.model, Path(folder))]
    return found


_FILES = _files()


_PARTS = [parts(content) for content in _FILES]


@dataclass(frozen=True)
class Case:
    """A file with another header, or with one tensor said to be of another type."""

    tree: Tree
    dtype: int | None
    level: int

    def content(self) -> bytes:
        """The file's bytes; the header must be writable as JSON."""
        header, data = self.tree.value(), _PARTS[self.tree.number][1]
        if self.dtype is not None and isinstance(header, dict):
            names = sorted(name for name in header if isinstance(header[name], dict) and name != "__metadata__")
            for name in names[: 1 + self.dtype % 3]:
                header[name]["dtype"] = (*_DTYPES, *_RARE)[self.dtype % len((*_DTYPES, *_RARE))]
        return joined(header, data, self.level)


def _whole(model: nn.Module, folder: Path) -> None:
    """A model that was taken runs, and is the same when it is saved and read again."""
    for tensor in model.state_dict().values():
        assert not tensor.is_meta
    save(model, folder / "again.safetensors")


def _file(content: bytes, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(content)
    tensors, metadata = load_tensors(folder / "model.safetensors")
    assert all(isinstance(value, str) for value in metadata.values())
    save_tensors(folder / "again.safetensors", tensors, metadata)


def _load(number: int, content: bytes, folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(content)
    build = ZOO[MODELS[number // 2]].build
    try:
        model = load(file, build)
    except SecateursError:
        dense = build()
        before = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
        try:
            load_weights(dense, file)
        except SecateursError:
            # Of a plan the model is cut before its weights are known to fit; without one nothing is touched.
            if len(dense.state_dict()) == len(before) and not hasattr(dense, HISTORY):
                assert all(map(torch.equal, dense.state_dict().values(), before.values()))
        raise
    _whole(model, folder)


def _header(case: Case, folder: Path) -> None:
    try:
        content = case.content()
    except (ValueError, RecursionError):  # what JSON cannot say cannot be in the file
        content = b""
    _load(case.tree.number, content, folder)


def _damaged_load(case: tuple[int, bytes], folder: Path) -> None:
    number, content = case
    _load(number, resealed(content), folder)


_CASES = st.builds(
    Case,
    damaged_tree([header for header, _ in _PARTS], most=3),
    st.one_of(st.none(), st.integers(0, 255)),
    st.sampled_from([0, 1, 2, 2, 2, 2]),
)
_NUMBERED = st.integers(0, len(_FILES) - 1).flatmap(lambda n: st.tuples(st.just(n), damaged([_FILES[n]], most=3)))

TARGETS: Mapping[str, Target] = {
    "weights bytes": Target(cases=st.one_of(damaged(_FILES), damaged(_FILES).map(resealed)), check=_file),
    "weights header": Target(cases=_CASES, check=_header, fast=100),
    "weights loaded": Target(cases=_NUMBERED, check=_damaged_load, fast=100),
}
