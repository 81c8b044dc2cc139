"""Random numbers keyed by (seed, epoch), so that a resumed run draws what an uninterrupted one would."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["preserved_generators", "seed_epoch"]


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
    """Seed all three from (seed, epoch).

    Keys instead of saved states: the numbers of an epoch do not depend on what was drawn before it, so a
    checkpoint needs none of them. Hashed, because seed + epoch would repeat another seed's epochs.
    """
    key = int.from_bytes(hashlib.sha256(f"{seed}/{epoch}".encode()).digest()[:8], "little")
    torch.manual_seed(key)
    random.seed(key)
    np.random.seed(key % 2**32)
