"""Files that are written whole or not at all, and tensors on disk without pickle."""

import errno
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from secateurs._errors import FileError
from secateurs._json import parse_json
from secateurs._seal import SEAL_KEY, UNSEALED, seal_is_whole, sealed

__all__ = [
    "append_jsonl",
    "load_tensors",
    "make_directory",
    "remove_partial",
    "save_tensors",
    "write_bytes",
    "write_json",
    "write_text",
    "writing_nothing",
]

_PARTIAL = ".partial"
"""Ends the name of every file that is being written; a kill may leave one behind."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


_writes: ContextVar[bool] = ContextVar("writes", default=True)


@contextmanager
def writing_nothing() -> Iterator[None]:
    """Inside, nothing of this file writes or removes anything: of several ranks, one writes for all."""
    token = _writes.set(False)
    try:
        yield
    finally:
        _writes.reset(token)


def make_directory(path: Path) -> Path:
    """Create `path` and its parents; a clear `FileError` where that is impossible."""
    if not _writes.get():
        return path
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise FileError(
            str(path), wanted="a directory that can be made", got=_reason(error), cure="Choose another directory."
        ) from error
    return path


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` atomically: temporary file in the same directory, fsync, rename, fsync of the directory."""
    _write(path, (content,))


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON atomically; NaN and infinity are refused, JSON has none."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def append_jsonl(path: Path, row: Mapping[str, Any]) -> None:
    """Append one JSON object as one line."""
    if not _writes.get():
        return
    make_directory(path.parent)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise _unwritable(path, error) from error


def remove_partial(folder: Path) -> None:
    """Remove half-written files that kills left in `folder` itself; only its one writer may do that."""
    if not _writes.get():
        return
    for path in folder.glob(f".*{_PARTIAL}"):
        with suppress(OSError):  # it is in nobody's way
            path.unlink()


def save_tensors(
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str] | None = None,
    *,
    previous: Path | None = None,
) -> None:
    """Write a safetensors file atomically, with its SHA-256 inside; equal tensors and metadata give equal bytes.

    Args:
        previous: where the file that was at `path` goes, if there was one. A kill between the two renames
            leaves nothing at `path` and the old file at `previous`.
    """
    plain = {name: _plain(tensor) for name, tensor in tensors.items()}
    # safetensors writes metadata in hash order; one key with sorted JSON makes the bytes repeatable.
    packed = {"secateurs": json.dumps({**(metadata or {}), SEAL_KEY: UNSEALED}, sort_keys=True)}
    _write(path, sealed(safetensors.torch.save(plain, packed)), previous=previous)


def load_tensors(path: Path, *, hashed: bool = False) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read a safetensors file: tensors by name, and the metadata that `save_tensors` wrote (else empty).

    A file with a SHA-256 inside must agree with it; with `hashed`, a file without one is refused too.
    """
    try:
        if not path.is_file():
            raise FileError(str(path), wanted="a safetensors file", got="no such file", cure="Check the path.")
        whole = seal_is_whole(path)
        if whole is False or (hashed and whole is None):
            raise ValueError("no SHA-256 inside" if whole is None else "content that its SHA-256 does not fit")
        with safetensors.safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            metadata = file.metadata() or {}
        unpacked = parse_json(metadata.get("secateurs", "{}"))
        if not isinstance(unpacked, dict) or not all(isinstance(value, str) for value in unpacked.values()):
            raise ValueError("metadata that is no mapping of text")
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise FileError(
            str(path),
            wanted="a whole safetensors file",
            got=_reason(error),
            cure="The file is damaged or of another kind; write it again.",
        ) from error
    return tensors, {key: value for key, value in unpacked.items() if key != SEAL_KEY}


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    # A copy of its own: safetensors refuses tensors that share memory.
    return tensor.detach().to("cpu", copy=True).contiguous()


def _write(path: Path, pieces: Iterable[bytes | memoryview], *, previous: Path | None = None) -> None:
    if not _writes.get():
        return
    make_directory(path.parent)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PARTIAL)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        if previous is not None and path.exists():
            path.replace(previous)
        temporary.replace(path)
        _sync_directory(path.parent)
    except BaseException as error:
        # An interrupt, too, must not leave half a file that nobody looks for.
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(path, error) from error
        raise


def _sync_directory(folder: Path) -> None:
    """Without it, a power cut may undo a rename that later files rely on."""
    if os.name != "posix":  # elsewhere a directory cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot do it; they keep their own promises about renames.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def _unwritable(path: Path, error: OSError) -> FileError:
    cure = "Check space and permissions."
    if error.errno in _FULL:
        cure = "Make room; what was written before is whole, and a run goes on from it by --resume."
    return FileError(str(path), wanted="a file that can be written", got=_reason(error), cure=cure)


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
