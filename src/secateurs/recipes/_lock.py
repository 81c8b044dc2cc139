"""One writer for a run directory: the second is told who the first is."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from secateurs import _distributed
from secateurs._errors import FileError, HeldError
from secateurs._files import make_directory

try:
    import fcntl
except ImportError:  # not a POSIX system: what the file says must do
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK_FILE", "is_held", "locked", "unlock_elsewhere"]

LOCK_FILE = ".lock"


@dataclass(frozen=True, kw_only=True)
class _Owner:
    """A process, told apart from every other one that ever had or will have its number.

    Attributes:
        started: the start of the system and of the process in it; empty where that cannot be told.
    """

    pid: int
    host: str
    started: str

    @classmethod
    def here(cls) -> Self:
        """This process."""
        return cls(pid=os.getpid(), host=socket.gethostname(), started=_started(os.getpid()))

    @classmethod
    def read(cls, handle: int) -> Self | None:
        """The owner that the file names; None where it names none, as after a power cut."""
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            return cls(**json.loads(os.read(handle, 4096)))
        except (ValueError, TypeError):
            return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@contextmanager
def locked(folder: Path, notify: Callable[[str], None]) -> Iterator[None]:
    """Make `folder` this process's own while inside; a lock that a killed run left is taken over, with a word.

    The system's own lock on the file ends with its process, whatever ends that. What the file says names the
    owner, and is all there is for other machines and for file systems that know no locks.

    Raises:
        HeldError: another run has the folder, or one on another machine did not give it back.
        FileError: the folder cannot be made or written to.
    """
    if not _distributed.is_first():  # rank 0 holds it for all
        yield
        return
    owner, file = _Owner.here(), make_directory(folder) / LOCK_FILE
    try:
        handle = _taken(file, owner, notify)
    except OSError as error:
        got, cure = error.strerror or str(error), "Choose another directory with --out."
        raise FileError(str(folder), wanted="a writable directory", got=got, cure=cure) from error
    try:
        yield
    finally:
        if os.getpid() == owner.pid:  # not in a child that was forked inside
            # Removed while still locked, so nobody has opened it who could lock a file without a name.
            with suppress(OSError):
                file.unlink()
            _handles.discard(handle)
            os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether a run has `folder` now, as far as its lock says. Only looks: a lock, even a shared one, would refuse
    the run that starts at that moment. An owner on another machine is believed.
    """
    try:
        content = json.loads((folder / LOCK_FILE).read_text(encoding="utf-8"))
        owner = _Owner(**content)
    except (OSError, ValueError, TypeError):
        return False
    if owner.host != _Owner.here().host:
        return True
    return owner.started == _started(owner.pid) if owner.started else _answers(owner.pid)


def unlock_elsewhere(folder: Path) -> bool:
    """Delete a lock whose owner is on another machine; whoever calls this knows that machine to be gone.

    One of this machine's is left alone: its owner can be looked for. Returns whether there was anything to delete.
    """
    file = folder / LOCK_FILE
    try:
        elsewhere = _Owner(**json.loads(file.read_text(encoding="utf-8"))).host != socket.gethostname()
        if elsewhere:
            file.unlink()
    except (OSError, ValueError, TypeError):
        return False
    return elsewhere


def _answers(pid: int) -> bool:
    """Whether a process has that number: all that can be asked where the system tells no more about processes."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def _taken(file: Path, owner: _Owner, notify: Callable[[str], None]) -> int:
    """An open handle on the file, locked and with `owner` in it."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            free, before = _lock(handle), _Owner.read(handle)
            if not free:
                raise _refused(file, before, "Wait for that run, end it, or choose another directory with --out.")
            if _has_name(handle, file):
                _judge(file, before, owner, notify)
                content = json.dumps(asdict(owner)).encode()
                os.ftruncate(handle, 0)
                os.pwrite(handle, content, 0)
                os.fsync(handle)
                _handles.add(handle)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its owner has removed it between our opening and our locking


def _judge(file: Path, before: _Owner | None, owner: _Owner, notify: Callable[[str], None]) -> None:
    """Refuse the lock if the one that the file names may still be there."""
    if before is None or before == owner:
        return
    if before.host != owner.host:
        raise _refused(file, before, f"If that run has ended, delete {file}.")
    if before.started and before.started == _started(before.pid):  # a file system without locks
        raise _refused(file, before, "Wait for that run, end it, or choose another directory with --out.")
    notify(f"taking over {file.parent} from {before}, which ended without giving it back")


def _refused(file: Path, owner: _Owner | None, cure: str) -> HeldError:
    return HeldError(
        str(file.parent), wanted="a directory that no other run has", got=f"one of {owner or 'another run'}", cure=cure
    )


def _lock(handle: int) -> bool:
    """Lock the file for as long as it is open; false where somebody else has it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _has_name(handle: int, file: Path) -> bool:
    """Is the open file still the one that everybody else would open?"""
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def _started(pid: int) -> str:
    """The start of the system and, in its clock ticks since then, of the process; empty where there is none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    ended = fields[0] in (b"Z", b"X")  # only its number is left
    return "" if ended else f"{boot}/{fields[19].decode()}"


_handles: set[int] = set()


def _close_in_child() -> None:
    """A worker that outlives its killed parent must not keep the lock."""
    for handle in _handles:
        with suppress(OSError):
            os.close(handle)
    _handles.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
