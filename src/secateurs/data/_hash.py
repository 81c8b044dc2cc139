"""Random numbers that are a function of their key: splitmix64 on whole tensors (Steele, Lea, Flood, 2014).

torch's generators draw in sequence, so what an image gets would depend on its place in the batch and on all
draws before it. Here it depends on (seed, epoch, purpose, image) alone, and is the same on every device.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["keyed", "keyed_below", "keyed_order", "mix"]

_GAMMA, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = 2**64 - 1


def mix(state: Tensor) -> Tensor:
    """The splitmix64 output for each state; int64 in and out, taken as unsigned numbers that wrap around."""
    z = state + _signed(_GAMMA)
    z = (z ^ _shifted(z, 30)) * _signed(_FIRST)
    z = (z ^ _shifted(z, 27)) * _signed(_SECOND)
    mixed: Tensor = z ^ _shifted(z, 31)
    return mixed


def keyed(key: Sequence[int], indices: Tensor) -> Tensor:
    """64 random bits for each of `indices`, fixed by `key`; every bit of both reaches all bits of these."""
    state = 0
    for part in key:
        state = _mix_int(state ^ (part & _MASK))
    return mix(mix(indices) ^ _signed(state))


def keyed_below(key: Sequence[int], indices: Tensor, bound: int) -> Tensor:
    """For each index a uniform integer in 0 .. bound - 1 (bias below bound / 2^31)."""
    return (_shifted(keyed(key, indices), 33) * bound) >> 31


def keyed_order(key: Sequence[int], indices: Tensor) -> Tensor:
    """Positions of `indices` in an order shuffled by `key`."""
    return torch.argsort(keyed(key, indices), stable=True)


def _shifted(z: Tensor, bits: int) -> Tensor:
    # torch shifts int64 arithmetically; the mask makes it the logical shift of the unsigned number.
    shifted: Tensor = (z >> bits) & (2 ** (64 - bits) - 1)
    return shifted


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _mix_int(state: int) -> int:
    # Python's own numbers: a tensor of one element takes thirty times as long.
    z = (state + _GAMMA) & _MASK
    z = ((z ^ (z >> 30)) * _FIRST) & _MASK
    z = ((z ^ (z >> 27)) * _SECOND) & _MASK
    return z ^ (z >> 31)
