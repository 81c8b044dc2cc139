"""The largest level that still succeeds, found with few probes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Found", "Until", "most_probes", "search_levels"]

Until: TypeAlias = Literal["largest", "first", "all"]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search came to.

    Attributes:
        level: the largest level probed that succeeded; None where none did.
        probes: levels in the order of probing, each with whether it succeeded.
    """

    level: float | None
    probes: tuple[tuple[float, bool], ...]


def search_levels(levels: Sequence[float], succeeds: Callable[[float], bool], until: Until = "largest") -> Found:
    """Find the largest of `levels` that succeeds.

    - "largest" bisects: the middle level first, then the middle of those above a success or below a failure, until
      none is left: five probes for 19 levels. Where success is monotone
      (every level below one that succeeds succeeds too) this is what an exhaustive sweep finds. Where it is not, it
      is a level that succeeds, whose next larger level fails or is none: one of the places where success ends, and
      not always the last one. No success among those probed gives None, though one may be elsewhere.
    - "first" bisects too, and stops at the first success: the cheapest search that ends with something.
    - "all" is the sweep: every level is probed, from the smallest up, and the largest success is found whatever the
      curve looks like.

    A level is probed once at most.

    Args:
        levels: ascending.
        succeeds: tried on one level at a time.
        until: when the search ends.
    """
    probes: list[tuple[float, bool]] = []

    def probe(index: int) -> bool:
        probes.append((levels[index], succeeds(levels[index])))
        return probes[-1][1]

    if until == "all":
        for index in range(len(levels)):
            probe(index)
    else:
        _bisect(len(levels), probe, stop_early=until == "first")
    return Found(level=max((level for level, good in probes if good), default=None), probes=tuple(probes))


def _bisect(count: int, probe: Callable[[int], bool], *, stop_early: bool) -> None:
    low, high = -1, count  # what is at `low` succeeds, nothing removed at least; what is at `high` fails
    while high - low > 1:
        middle = (low + high) // 2
        if not probe(middle):
            high = middle
        elif stop_early:
            return
        else:
            low = middle


def most_probes(count: int, until: Until) -> int:
    """How many of `count` levels are probed at most."""
    return count if until == "all" else count.bit_length()
