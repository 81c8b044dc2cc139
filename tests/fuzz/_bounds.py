"""The bounds that every case stays within: time, memory, no write outside its folder, no network, no unpickling."""

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["OutOfBounds", "bounded", "watched"]

_MEMORY_BYTES = 1280 * 2**20
_SECONDS = 20
# Blocked and not computing, as on a pipe that nobody writes to; the clock runs on while others use the machine.
_BLOCKED_SECONDS = 60

_WRITES = frozenset(
    {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.truncate", "shutil.rmtree"}
)
_NEVER = frozenset(
    {
        "pickle.find_class",
        "socket.connect",
        "socket.getaddrinfo",
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "urllib.Request",
    }
)


class OutOfBounds(BaseException):
    """A case hung, or did what no case may do; not an `Exception`, so that nothing in between takes it for its own."""


class _Watch:
    """What the audit hook reads: it cannot be removed once it is there, so it is told when to look away."""

    folder: str | None = None
    installed = False


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _Watch.folder is None:
        return
    if event in _NEVER:
        raise OutOfBounds(f"{event} {args!r:.200}")
    if event == "open":
        path, _, flags = args
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not isinstance(path, int):
            _check_inside(event, path)
    elif event in _WRITES:
        path = Path(os.fsdecode(args[1] if event in {"os.rename", "os.symlink", "os.link"} else args[0]))
        if event == "os.mkdir" and path.is_dir():  # asked for in case it is missing
            return
        _check_inside(event, path.parent)  # these are about the name, wherever a link of that name may lead


def _check_inside(event: str, path: Any) -> None:
    real = os.path.realpath(os.fsdecode(path))
    if not real.startswith((str(_Watch.folder), os.devnull)):
        raise OutOfBounds(f"{event} of {real!r}, outside {_Watch.folder}")


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Inside, only `folder` may be written to, nothing is unpickled, nothing started and nobody called."""
    if not _Watch.installed:
        sys.addaudithook(_hook)
        _Watch.installed = True
    _Watch.folder = os.path.realpath(folder)
    try:
        yield
    finally:
        _Watch.folder = None


@contextmanager
def bounded() -> Iterator[None]:
    """Inside, the process gets about 1 GiB more than it has now, and seconds."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    handlers = [signal.signal(number, _late) for number in (signal.SIGPROF, signal.SIGALRM)]
    resource.setrlimit(resource.RLIMIT_AS, (_virtual_bytes() + _MEMORY_BYTES, before[1]))
    signal.setitimer(signal.ITIMER_PROF, _SECONDS)
    signal.setitimer(signal.ITIMER_REAL, _BLOCKED_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), handlers, strict=True):
            signal.signal(number, handler)


def _late(number: int, _frame: object) -> None:
    what = f"{_SECONDS} s of computing" if number == signal.SIGPROF else f"{_BLOCKED_SECONDS} s of waiting"
    raise OutOfBounds(f"no end after {what}")


def _virtual_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()
