"""Tiny models, one difficulty each, in one table."""

from collections.abc import Mapping

from tests.zoo import (
    attending,
    convolutional,
    coupled,
    dense,
    heads,
    indexed,
    joined,
    moved,
    packed,
    recurrent,
    written,
)
from tests.zoo._entry import Entry

__all__ = ["ZOO", "Entry"]

ZOO: Mapping[str, Entry] = {
    **dense.ENTRIES,
    **convolutional.ENTRIES,
    **joined.ENTRIES,
    **attending.ENTRIES,
    **written.ENTRIES,
    **indexed.ENTRIES,
    **moved.ENTRIES,
    **coupled.ENTRIES,
    **heads.ENTRIES,
    **packed.ENTRIES,
    **recurrent.ENTRIES,
}
"""Name to model."""
