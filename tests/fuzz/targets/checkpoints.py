"""Training checkpoints whose header, metadata or content is damaged, and training that goes on from them."""

import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from hypothesis import strategies as st
from torch import Tensor

from secateurs._errors import FileError
from secateurs.training import CheckpointOptions, TrainOptions, train
from tests.fuzz._bytes import damaged
from tests.fuzz._headers import joined, parts
from tests.fuzz._sealing import resealed
from tests.fuzz._target import Target
from tests.fuzz._trees import Tree, damaged_tree
from tests.training._toys import make_network, split_batches, toy_images

__all__ = ["TARGETS"]

_BATCHES = split_batches(*toy_images(24), size=8)
# Momentum; moments, step counts and an average; state that is partly plain numbers.
_OPTIONS = (
    TrainOptions(epochs=2, lr=0.05, device="cpu"),
    TrainOptions(epochs=2, lr=0.01, optimizer="adamw", ema=0.9, device="cpu"),
)
_OFTEN = 1e-9


def _copies(options: TrainOptions) -> dict[tuple[int, int], bytes]:
    """The checkpoint as it is before each step, by epoch and step."""
    found: dict[tuple[int, int], bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"

        def copy(epoch: int, step: int, _total: int) -> None:
            if path.exists():
                found[epoch, step] = path.read_bytes()

        train(make_network(), _BATCHES, options, checkpoint=CheckpointOptions(path=path, minutes=_OFTEN), on_step=copy)
    return found


def _originals() -> list[bytes]:
    """Within an epoch, and between two, for each of the options."""
    return [_copies(options)[when] for options in _OPTIONS for when in ((1, 2), (1, 0))]


_FILES = _originals()
_PARTS = [parts(content) for content in _FILES]


def _state() -> dict[str, Tensor]:
    model = make_network()
    return {name: tensor.clone() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def _resume(number: int, content: bytes, folder: Path) -> None:
    path, model = folder / "checkpoint.safetensors", make_network()
    path.write_bytes(content)
    generators = torch.get_rng_state()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = train(model, _BATCHES, _OPTIONS[number // 2], checkpoint=path)
    except FileError:  # others may be found while training goes on, such as a loss that is not finite
        found = dict(model.named_parameters()) | dict(model.named_buffers())
        assert all(torch.equal(tensor, found[name]) for name, tensor in _state().items())
        raise
    finally:
        assert torch.equal(torch.get_rng_state(), generators)
    assert [record.epoch for record in result.history] == [0, 1]
    assert all(str(record) for record in result.history)


@dataclass(frozen=True)
class Case:
    """A checkpoint with another header."""

    tree: Tree
    level: int

    def content(self) -> bytes:
        """The file; nothing where JSON cannot say it."""
        try:
            return joined(self.tree.value(), _PARTS[self.tree.number][1], self.level)
        except (ValueError, RecursionError):
            return b""


def _header(case: Case, folder: Path) -> None:
    _resume(case.tree.number, case.content(), folder)


def _damaged(case: tuple[int, bytes], folder: Path) -> None:
    _resume(*case, folder)


_CASES = st.builds(Case, damaged_tree([header for header, _ in _PARTS], most=2), st.sampled_from([0, 1, 2, 2, 2, 2, 2]))
_BYTES = st.integers(0, len(_FILES) - 1).flatmap(
    lambda n: st.tuples(st.just(n), st.one_of(damaged([_FILES[n]]), damaged([_FILES[n]], most=2).map(resealed)))
)

TARGETS: Mapping[str, Target] = {
    "checkpoint header": Target(cases=_CASES, check=_header, fast=50),
    "checkpoint bytes": Target(cases=_BYTES, check=_damaged, fast=50),
}
