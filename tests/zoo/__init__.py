"""Tiny models, one difficulty each, in one table."""

from collections.abc import Mapping

from tests.zoo import attending, convolutional, coupled, dense, indexed, joined, written
from tests.zoo._entry import Entry

__all__ = ["ZOO", "Entry"]

ZOO: Mapping[str, Entry] = {
    **dense.ENTRIES,
    **convolutional.ENTRIES,
    **joined.ENTRIES,
    **attending.ENTRIES,
    **written.ENTRIES,
    **indexed.ENTRIES,
    **coupled.ENTRIES,
}
"""Name to model."""
