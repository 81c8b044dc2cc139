"""Files that are written whole or not at all, and tensors on disk without pickle."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from secateurs._errors import FileError

__all__ = ["append_jsonl", "load_tensors", "make_directory", "save_tensors", "write_bytes", "write_json", "write_text"]


def make_directory(path: Path) -> Path:
    """Create `path` and its parents; a clear `FileError` where that is impossible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            str(path), wanted="a directory that can be made", got=_reason(error), cure="Choose another directory."
        ) from error
    return path


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` atomically: temporary file in the same directory, fsync, rename."""
    make_directory(path.parent)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise FileError(
            str(path), wanted="a file that can be written", got=_reason(error), cure="Check space and permissions."
        ) from error


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON atomically; NaN and infinity are refused, JSON has none."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def append_jsonl(path: Path, row: Mapping[str, Any]) -> None:
    """Append one JSON object as one line."""
    make_directory(path.parent)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise FileError(
            str(path), wanted="a file that can be written", got=_reason(error), cure="Check space and permissions."
        ) from error


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file atomically; equal tensors and metadata give equal bytes."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    # safetensors writes metadata in hash order; one key with sorted JSON makes the bytes repeatable.
    packed = {"secateurs": json.dumps(dict(metadata), sort_keys=True)} if metadata else None
    write_bytes(path, safetensors.torch.save(plain, packed))


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read a safetensors file: tensors by name, and the metadata that `save_tensors` wrote (else empty)."""
    if not path.is_file():
        raise FileError(str(path), wanted="a safetensors file", got="no such file", cure="Check the path.")
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            metadata = file.metadata() or {}
        unpacked: dict[str, str] = json.loads(metadata.get("secateurs", "{}"))
        if not isinstance(unpacked, dict):
            raise ValueError(f"metadata of type {type(unpacked).__name__}")
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise FileError(
            str(path),
            wanted="a whole safetensors file",
            got=_reason(error),
            cure="The file is damaged or of another kind; write it again.",
        ) from error
    return tensors, unpacked


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
