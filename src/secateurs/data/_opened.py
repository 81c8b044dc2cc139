"""Rows of splits as streamed sets: nothing is decoded, but every header is read, so that surprises come first."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from torch import Tensor

from secateurs.data._decode import Header
from secateurs.data._options import DataOptions
from secateurs.data._prefetch import prefetched, usual_threads
from secateurs.data._split import Split
from secateurs.data._streamed_set import StreamedSet

__all__ = ["opened"]

_CHUNK = 1000


def opened(parts: Sequence[tuple[Split, Tensor]], options: DataOptions) -> list[StreamedSet]:
    """A streamed set for each of `parts`; colour anywhere makes all of them have three channels, as when held.

    Raises:
        DataError: a header that cannot be read.
    """
    headers = [_headers(split, rows) for split, rows in parts]
    channels = options.channels or _channels(headers)
    return [
        StreamedSet(
            split=split,
            labels=split.labels[rows],
            indices=rows,
            classes=split.classes,
            channels=channels,
            size=_size(found, options),
            resize=options.resize,
        )
        for (split, rows), found in zip(parts, headers, strict=True)
    ]


def _headers(split: Split, rows: Tensor) -> set[Header]:
    """The different ones."""

    def read(chunk: Tensor) -> set[Header]:
        return set(split.headers(chunk.tolist()))

    jobs = (partial(read, chunk) for chunk in rows.split(_CHUNK))
    return set().union(*prefetched(jobs, threads=usual_threads(), ahead=2 * usual_threads()))


def _channels(headers: Sequence[set[Header]]) -> Literal[1, 3]:
    return 1 if all(header.grey for found in headers for header in found) else 3


def _size(headers: set[Header], options: DataOptions) -> tuple[int, int] | None:
    if options.resize is not None:
        return options.resize, options.resize
    sizes = {(header.height, header.width) for header in headers}
    return sizes.pop() if len(sizes) == 1 else None
