"""Damaged files with a hash that fits: what somebody made on purpose, where a hash alone finds accidents."""

from secateurs._seal import _MARK, UNSEALED, sealed

__all__ = ["resealed"]


def resealed(content: bytes) -> bytes:
    """The file with the SHA-256 of what it now holds; as it is where it has no place for one."""
    header = int.from_bytes(content[:8], "little")
    mark = _MARK.search(content, 8, 8 + header) if header < len(content) else None
    if mark is None:
        return content
    start, end = mark.span(1)
    return b"".join(sealed(content[:start] + UNSEALED.encode() + content[end:]))
