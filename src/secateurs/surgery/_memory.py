"""How much memory is free."""

from pathlib import Path

import torch

__all__ = ["free_bytes"]


def free_bytes(device: torch.device) -> float:
    """What can still be allocated on a device; infinite where nobody says."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return float("inf")
    return min(_of_system(), _of_group())


def _of_system() -> float:
    """Linux says what is available without swapping, caches that can be dropped included."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    return float("inf")


def _of_group() -> float:
    """The limit of a container, less what is in use."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
        return float("inf") if limit == "max" else float(limit) - float(used)
    except (OSError, ValueError):
        return float("inf")
