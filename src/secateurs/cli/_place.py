"""Where a run goes unless that is said."""

from pathlib import Path

__all__ = ["place_of"]


def place_of(name: str, resume: bool) -> Path:
    """runs/NAME, or where that is taken runs/NAME-2 and so on; to resume, the last of them."""
    taken = [Path("runs") / name]
    while (taken[-1] / "run.json").exists():
        taken.append(Path("runs") / f"{name}-{len(taken) + 1}")
    return taken[-2] if resume and len(taken) > 1 else taken[-1]
