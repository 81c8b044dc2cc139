"""Whether images are decoded once and held, or decoded as they are needed; decided by their headers alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from secateurs.data._decode import Header
from secateurs.data._hash import keyed_order
from secateurs.data._memory import fits, free_bytes
from secateurs.data._options import DataOptions
from secateurs.data._split import Split

__all__ = ["Residency", "decide"]

# Images whose headers are read to estimate the size of a set.
_SAMPLE = 1000
_KEY = (0,)


@dataclass(frozen=True, kw_only=True)
class Residency:
    """The choice.

    Attributes:
        held: decode everything at once.
        device: where the images that are held go.
        told: the choice and its reason, in one line.
    """

    held: bool
    device: torch.device
    told: str


def decide(parts: Sequence[tuple[Split, Tensor]], options: DataOptions, device: torch.device) -> Residency:
    """Held where half of the free memory is enough for the decoded images, unless `options.resident` says.

    Args:
        parts: splits, and the rows of them that are wanted.
        options: how images are brought to size, and what is asked.
        device: where training will want the images; they go there if they fit, else to the host's memory.
    """
    headers = [header for split, rows in parts for header in split.headers(_sampled(rows).tolist())]
    count = sum(len(rows) for _, rows in parts)
    size = count * _mean_bytes(headers, options)
    images = f"{count:,} images"
    host = torch.device("cpu")
    if options.resident is False:
        return Residency(held=False, device=host, told=f"{images}, streamed, as data.resident asks")
    if options.resident == "auto" and _differ(headers, options):
        return Residency(held=False, device=host, told=f"{images}, streamed: they differ in size")
    if options.resident == "auto" and not fits(size, host):
        room = _shown((free_bytes(host) or 0) // 2)
        return Residency(held=False, device=host, told=f"{images}, streamed: {_shown(size)} would not fit in {room}")
    place = device if fits(size, device) else host
    return Residency(held=True, device=place, told=f"{images}, {_shown(size)}, held on {place}")


def _sampled(rows: Tensor) -> Tensor:
    return rows if len(rows) <= _SAMPLE else rows[keyed_order(_KEY, rows)[:_SAMPLE]]


def _mean_bytes(headers: Sequence[Header], options: DataOptions) -> int:
    """Of a decoded image, rounded up."""
    channels = options.channels or (1 if all(header.grey for header in headers) else 3)
    pixels = [options.resize**2 if options.resize else header.width * header.height for header in headers]
    return channels * -(-sum(pixels) // max(1, len(pixels)))


def _differ(headers: Sequence[Header], options: DataOptions) -> bool:
    return options.resize is None and len({(header.width, header.height) for header in headers}) > 1


def _shown(size: int) -> str:
    power = 3 if size >= 2**30 else 2 if size >= 2**20 else 1
    value = size / 2 ** (10 * power)
    return f"{value:.{1 if value < 10 else 0}f} {(None, 'KiB', 'MiB', 'GiB')[power]}"
