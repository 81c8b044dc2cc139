"""How much memory is free."""

from pathlib import Path

import torch

__all__ = ["fits", "free_bytes"]

# Of what is free: networks, activations and other programs need the rest.
_SHARE = 0.5
_GROUP = Path("/sys/fs/cgroup")


def fits(size: int, device: torch.device) -> bool:
    """Whether `size` bytes are at most half of what is free on `device`; where nothing tells, they are."""
    free = free_bytes(device)
    return free is None or size <= _SHARE * free


def free_bytes(device: torch.device) -> int | None:
    """On the device; None where nothing tells."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    known = [size for size in (_system(), _group()) if size is not None]
    return min(known, default=None)


def _system() -> int | None:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _group() -> int | None:
    """What a container's limit leaves; pages of files count as free, since the system gives them up."""
    limit, used = _number(_GROUP / "memory.max"), _number(_GROUP / "memory.current")
    if limit is None or used is None:
        return None
    pages = [int(line.split()[1]) for line in _lines(_GROUP / "memory.stat") if line.startswith("file ")]
    return max(0, limit - used + sum(pages))


def _number(path: Path) -> int | None:
    words = _lines(path)
    return int(words[0]) if words and words[0].isdigit() else None  # "max" where there is no limit


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
