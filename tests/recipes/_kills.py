"""Runs the command line again and again and kills it at random moments, until it ends by itself.

`python -m tests.recipes._kills RECIPE OUT KILLS SECONDS` prints how often it killed. Every attempt is a process
of its own that goes through the whole command line. It is forked from one that has imported everything, since an
import of torch takes longer than the whole of a small run; nothing else is shared.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path


def _import() -> None:
    import lightning_fabric
    import matplotlib.pyplot
    import sklearn.datasets

    import secateurs.recipes
    import secateurs.reporting

    assert lightning_fabric
    assert matplotlib.pyplot
    assert sklearn.datasets
    assert secateurs.recipes
    assert secateurs.reporting


def attempt(recipe: Path, out: Path) -> int:
    """Start `secateurs run RECIPE --out OUT --resume`; the process number."""
    child = os.fork()
    if child:
        return child
    log = os.open(out.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    from secateurs.cli import main

    try:
        # Less than a step: what is killed is as often within an epoch as the disk allows.
        main(["run", str(recipe), "--out", str(out), "--resume", "--checkpoint-minutes", "0.001"])
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    finally:
        os._exit(70)


def ended(child: int, seconds: float) -> int | None:
    """The child's exit code once it has ended, None after so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def killed(recipe: Path, out: Path, most: int, seconds: float) -> tuple[int, float]:
    """Carry the recipe out with at most so many kills, each within so many seconds of a start.

    Returns how many it took, and the seconds of the attempt that was let go to its end.
    """
    draw = random.Random(str(out.name))
    for kills in range(most + 1):
        began, child = time.monotonic(), attempt(recipe, out)
        code = ended(child, draw.uniform(0.0, seconds) if kills < most else 600.0)
        if code is None:
            os.kill(child, signal.SIGKILL)
            code = ended(child, 60.0)
        if code != -signal.SIGKILL:
            break
    assert code == 0, f"exit code {code}: see {out.with_suffix('.log')}"
    return kills, time.monotonic() - began


if __name__ == "__main__":
    _import()
    print(*killed(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
