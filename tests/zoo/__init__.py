"""Tiny models, one difficulty each, in one table."""

from collections.abc import Mapping

from tests.zoo import (
    attending,
    branching,
    contracted,
    convolutional,
    coupled,
    dense,
    derived,
    experts,
    heads,
    held,
    indexed,
    joined,
    moved,
    normed,
    packed,
    recurrent,
    scanned,
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
    **held.ENTRIES,
    **coupled.ENTRIES,
    **heads.ENTRIES,
    **packed.ENTRIES,
    **recurrent.ENTRIES,
    **branching.ENTRIES,
    **normed.ENTRIES,
    **experts.ENTRIES,
    **contracted.ENTRIES,
    **derived.ENTRIES,
    **scanned.ENTRIES,
}
"""Name to model."""
