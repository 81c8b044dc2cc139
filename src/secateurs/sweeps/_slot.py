"""A process that carries out one run after another, each in a child of its own: `python -m secateurs.sweeps._slot`.

It takes a job per line and answers with an outcome per line. It has imported everything once, so that a run begins at
once, and has done nothing else, so that a child inherits no threads and no open devices. A run that crashes, or that
the system kills for its memory, takes its child along and nothing more.
"""

import importlib
import json
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path

from secateurs.sweeps._job import Outcome, carry_out

__all__ = ["main"]

_PATIENCE_S = 60.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    """Answer until nobody asks any more."""
    for number in _SIGNALS:  # what ends a run is sent to the whole group; this process hands on what came of it
        signal.signal(number, signal.SIG_IGN)
    if not hasattr(os, "fork"):
        return _alone()
    _import()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        answer = _in_child(line)
        try:
            answers.write(answer + "\n")
            answers.flush()
        except BrokenPipeError:  # who asked is gone; what the run has done is on disk
            os._exit(0)
    return 0


def _alone() -> int:
    """Where processes do not fork: one that crashes is replaced by who asks."""
    for line in sys.stdin:
        print(carry_out(line), flush=True)
    return 0


def _import() -> None:
    """What runs need and would import one by one; what is missing is complained about by the run that needs it."""
    for name in ("lightning_fabric", "matplotlib.pyplot", "secateurs.reporting"):
        try:
            importlib.import_module(name)
        except ImportError:
            continue


def _in_child(line: str) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _be_child(line, writer)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return answer or Outcome(status="lost", figures={}, error=_how_it_ended(status)).to_json()


def _be_child(line: str, writer: int) -> None:
    """Never returns."""
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _write_to_log(json.loads(line))
        threading.Thread(target=_end_with_the_asker, daemon=True).start()
        answer = carry_out(line)
        os.write(writer, answer.encode())
        code = 0
    finally:
        os._exit(code)


def _write_to_log(job: dict[str, str]) -> None:
    """What libraries print, and the last words of a crash, stand where the run's own lines do."""
    folder = Path(job["home"]) / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{job['path'].replace('/', '-')}.log"
    log = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _end_with_the_asker() -> None:
    """Nobody waits for the outcome any more: save the work and end, so that a sweep that goes on finds it free."""
    watch = select.poll()
    watch.register(0, 0)
    watch.poll()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_S)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _how_it_ended(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:
        return "its process was killed by SIGKILL, as systems do where memory is out"
    return f"its process was killed by {signal.Signals(-code).name}" if code < 0 else f"its process ended with {code}"


if __name__ == "__main__":
    sys.exit(main())
