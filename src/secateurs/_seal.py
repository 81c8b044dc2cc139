"""A SHA-256 inside the very file that it is of, so that a power cut cannot part the two.

The hash is that of the whole safetensors file with the hash's own 64 digits written as zeros. It lies in the
header's metadata, so the file stays one that any reader of safetensors can open.
"""

import hashlib
import re
from pathlib import Path

__all__ = ["SEAL_KEY", "UNSEALED", "seal_is_whole", "sealed"]

SEAL_KEY = "sha256"
UNSEALED = "0" * 64
"""Stands where the hash will be while it is computed."""

# Metadata is JSON inside the header's JSON; metadata that quotes such a pair has more backslashes than this.
_MARK = re.compile(rb'\\"sha256\\": \\"([0-9a-f]{64})\\"')
_CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 100_000_000
"""The most that safetensors allows; a damaged length must not be believed."""


def sealed(content: bytes) -> tuple[bytes | memoryview, ...]:
    """The pieces of a file whose content, with `UNSEALED` for its hash, is `content`; no large copy is made."""
    mark = _MARK.search(content, 8, 8 + int.from_bytes(content[:8], "little"))
    if mark is None:
        raise ValueError("content that has no place for its hash")
    start, end = mark.span(1)
    view = memoryview(content)
    return view[:start], hashlib.sha256(content).hexdigest().encode(), view[end:]


def seal_is_whole(path: Path) -> bool | None:
    """Is every byte of the file as it was written? None where no hash is found in it."""
    with path.open("rb") as file:
        length = file.read(8)
        size = int.from_bytes(length, "little")
        header = file.read(size) if size <= _HEADER_BYTES else b""
        mark = _MARK.search(header)
        if mark is None:
            return None
        start, end = mark.span(1)
        found = hashlib.sha256(length)
        found.update(header[:start] + UNSEALED.encode() + header[end:])
        while chunk := file.read(_CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest().encode() == mark[1]
