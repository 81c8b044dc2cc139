"""Random numbers keyed by (seed, epoch), so that a resumed run draws what an uninterrupted one would."""

import hashlib
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from secateurs import _distributed

__all__ = ["generator_states", "preserved_generators", "restore_generators", "seed_epoch", "step_key"]


@contextmanager
def preserved_generators(device: torch.device) -> Iterator[None]:
    """Leave the global generators of torch, NumPy and Python as they were: training is no one's side effect."""
    plain, array = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            random.setstate(plain)
            np.random.set_state(array)


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed all three from (seed, epoch), and the rank where there are several: they see other images.

    Keys instead of saved states: the numbers of an epoch do not depend on what was drawn before it, so states
    are needed only within an epoch. Hashed, because seed + epoch would repeat another seed's epochs.
    """
    key = _hashed(f"{seed}/{epoch}{_suffix()}")
    torch.manual_seed(key)
    random.seed(key)
    np.random.seed(key % 2**32)


def step_key(seed: int, step: int) -> int:
    """A number from 0 to 2^63 - 1 for one step of a training, the same on every rank."""
    return _hashed(f"{seed}/step/{step}") >> 1


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def _suffix() -> str:
    return f"/{_distributed.rank()}" if _distributed.rank() else ""


def generator_states(device: torch.device) -> dict[str, Tensor]:
    """Where the generators of every rank are, as tensors for a file: rank 0's by plain names."""
    mine = _own_states(device)
    if _distributed.world() == 1:
        return mine
    found: dict[str, Tensor] = {}
    for rank, states in enumerate(_distributed.gather({name: state.tolist() for name, state in mine.items()})):
        prefix = f"rank{rank}." if rank else ""
        found |= {prefix + name: torch.tensor(state, dtype=mine[name].dtype) for name, state in states.items()}
    return found


def _own_states(device: torch.device) -> dict[str, Tensor]:
    """Where the three generators are, and the device's own where it has one."""
    _, words, gauss = random.getstate()
    array = np.random.get_state(legacy=False)
    assert isinstance(array, dict)
    states = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor(words),
        "python_gauss": torch.tensor([] if gauss is None else [gauss], dtype=torch.float64),
        "numpy": torch.tensor([*array["state"]["key"].tolist(), array["state"]["pos"], array["has_gauss"]]),
        "numpy_gauss": torch.tensor([array["gauss"]], dtype=torch.float64),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_generators(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Bring the generators to where `generator_states` found them; a device without a state keeps its own."""
    prefix = f"rank{_distributed.rank()}."
    own = {name.removeprefix(prefix): state for name, state in states.items() if name.startswith(prefix)}
    states = {**states, **own}
    *words, position, has_gauss = states["numpy"].tolist()
    gauss = states["python_gauss"].tolist()
    torch.set_rng_state(states["torch"])
    random.setstate((3, tuple(states["python"].tolist()), gauss[0] if gauss else None))
    keys = np.array(words, dtype=np.uint32)
    np.random.set_state(("MT19937", keys, position, has_gauss, states["numpy_gauss"].item()))
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
