"""Standard output for results, standard error for everything else."""

import sys

from rich.console import Console

__all__ = ["complain", "out", "say"]


def out() -> Console:
    """Where results go. Made anew for each use, because tests and pipes exchange sys.stdout."""
    return Console(highlight=False)


def say(line: str) -> None:
    """One line about what is going on."""
    # Not by a rich console: one of those would write straight through a live display, and break it.
    print(line, file=sys.stderr, flush=True)


def complain(message: str) -> int:
    """One line that begins with `error:`; the exit code for bad input."""
    print("error:", " ".join(message.split()), file=sys.stderr)
    return 2
