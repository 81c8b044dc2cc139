"""Where a run ran: without it, a number cannot be compared."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from secateurs._version import __version__

__all__ = ["commit", "environment", "versions"]


def environment(device: torch.device) -> dict[str, Any]:
    """Hardware, operating system and thread counts."""
    facts: dict[str, Any] = {
        "device": str(device),
        "hardware": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
    }
    if device.type == "cuda":
        facts["accelerator"] = torch.cuda.get_device_name(device)
    return facts


def versions() -> dict[str, str]:
    """Versions of what computes."""
    return {"secateurs": __version__, "python": platform.python_version(), "torch": torch.__version__}


def commit() -> dict[str, Any] | None:
    """Git commit of the working directory and whether tracked files differ from it; None outside a repository."""
    revision = _git("rev-parse", "HEAD")
    if revision is None:
        return None
    return {"revision": revision, "changed": bool(_git("status", "--porcelain", "--untracked-files=no"))}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):  # no git, no repository, or no commit yet
        return None
    return done.stdout.strip()


def _processor() -> str:
    """The processor's name; `platform` knows only its architecture on Linux."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
