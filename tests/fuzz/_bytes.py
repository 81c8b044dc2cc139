"""Valid files, damaged: bits flipped, cut off, taken out, put in, numbers made huge."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

__all__ = ["Damage", "damaged", "damages"]

_TOKENS = (
    b"\0",
    b"\0" * 64,
    b"\xff" * 8,
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"{" * 2000,
    b"[" * 5000,
    b'{"a":' * 1500,
    b"9" * 6000,
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b'""',
    b"&a [*a]",
    b"*a",
    b"!!python/object:os.system",
    b"!!int x",
    b"__class__",
    b"../../../etc/passwd",
    b"A" * 70000,
    b"\r\n\t",
    b"? : - ",
    b"\\ud800",
    b"PAR1",
)
_NUMBERS = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_KINDS = ("flip", "set", "insert", "delete", "truncate", "repeat", "number", "digits", "swap")


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One change at a place given as a fraction, so that it means something in files of any size."""

    kind: str
    place: int
    amount: int

    def __call__(self, content: bytes) -> bytes:
        """`content` with the change."""
        at = self.place * len(content) >> 16
        size = 1 + (self.amount * self.amount * max(len(content), 1) >> 18)
        match self.kind:
            case "flip" if content:
                return content[:at] + bytes([content[at] ^ 1 << self.amount % 8]) + content[at + 1 :]
            case "set":
                return content[:at] + bytes([self.amount & 0xFF]) + content[at + 1 :]
            case "insert":
                return content[:at] + _TOKENS[self.amount % len(_TOKENS)] + content[at:]
            case "delete":
                return content[:at] + content[at + size :]
            case "truncate":
                return content[:at]
            case "repeat":
                return content[: at + size] + content[at:]
            case "number":
                return self._number(content, at)
            case "digits":
                return self._digits(content, at)
        other = self.amount * len(content) >> 8
        return content[:at] + content[other : other + 16] + content[at + 16 :]

    def _number(self, content: bytes, at: int) -> bytes:
        """A whole number of 2, 4 or 8 bytes, of either byte order, in the place of what was there."""
        value = _NUMBERS[self.amount % len(_NUMBERS)]
        width = (2, 4, 8)[self.amount // len(_NUMBERS) % 3]
        packed = struct.pack("<Q", value)[:width]
        return content[:at] + (packed if self.amount & 128 else packed[::-1]) + content[at + width :]

    def _digits(self, content: bytes, at: int) -> bytes:
        """Another number in the place of the next one written in digits."""
        start = next((i for i in range(at, len(content)) if content[i : i + 1].isdigit()), at)
        end = next((i for i in range(start, len(content)) if not content[i : i + 1].isdigit()), len(content))
        numbers = (b"-1", b"0", b"1e400", b"NaN", b"9" * 30, b"9223372036854775808", b"7" * 5000, b"true", b"0.5")
        return content[:start] + numbers[self.amount % len(numbers)] + content[end:]


def damages() -> st.SearchStrategy[Damage]:
    """Any one change."""
    return st.builds(Damage, kind=st.sampled_from(_KINDS), place=st.integers(0, 0xFFFF), amount=st.integers(0, 0xFF))


def damaged(originals: Sequence[bytes], *, most: int = 5) -> st.SearchStrategy[bytes]:
    """One of the files with up to so many changes; now and then with none."""

    def carry_out(original: bytes, changes: list[Damage]) -> bytes:
        for change in changes:
            original = change(original)
        return original

    return st.builds(carry_out, st.sampled_from(list(originals)), st.lists(damages(), max_size=most))
