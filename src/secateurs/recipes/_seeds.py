"""Seeds of the parts of a run."""

import hashlib

__all__ = ["stage_seed"]


def stage_seed(seed: int, index: int) -> int:
    """A seed of the stage's own. Hashed, because `seed + index` would repeat another run's stages."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{index}".encode()).digest()[:4], "little") >> 1
