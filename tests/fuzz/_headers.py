"""The header of a safetensors file as a value that can be damaged, with the JSON that it quotes inside."""

import json
import struct
from typing import Any

from tests.fuzz._sealing import resealed

__all__ = ["joined", "parts"]


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and data; metadata that is JSON in JSON in JSON, as values."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    if "__metadata__" in header:
        header["__metadata__"]["secateurs"] = _unpacked(header["__metadata__"]["secateurs"])
    return header, content[8 + size :]


def joined(header: Any, data: bytes, level: int) -> bytes:
    """A file with a hash that fits, of a header as `parts` gives it; values are packed again `level` times (0 to 2).

    Raises:
        ValueError, RecursionError: JSON cannot say this.
    """
    outer = header.get("__metadata__") if isinstance(header, dict) else None
    if level and isinstance(outer, dict) and "secateurs" in outer:
        inner = outer["secateurs"]
        if level > 1 and isinstance(inner, dict):
            inner = {key: value if isinstance(value, str) else json.dumps(value) for key, value in inner.items()}
        # With sorted keys and a space after the colon, as it is written.
        header = {**header, "__metadata__": {**outer, "secateurs": json.dumps(inner, sort_keys=True)}}
    text = json.dumps(header).encode()
    return resealed(struct.pack("<Q", len(text)) + text + data)


def _unpacked(text: str) -> Any:
    return {key: _value(value) for key, value in json.loads(text).items()}


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, dict | list) else text
