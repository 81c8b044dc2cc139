"""Random numbers of one epoch, computed for all images at once and looked up batch by batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from secateurs.data._hash import keyed

__all__ = ["Draws"]


class Draws:
    """For each purpose a random number per image, fixed by key, purpose and the image's index alone.

    A hash takes some twenty kernels; done once per epoch for all images, a batch needs one look-up.

    Args:
        key: seed, epoch and whatever else tells these draws from others.
        indices: int64 [N] of all images.
        positions: int64 [B] in `indices`, of the images at hand; None for all.
    """

    def __init__(self, key: Sequence[int], indices: Tensor, positions: Tensor | None = None) -> None:
        self._key, self._indices, self._positions = tuple(key), indices, positions
        self._known: dict[int, Tensor] = {}

    def at(self, positions: Tensor) -> "Draws":
        """The same draws for some of the images."""
        chosen = Draws(self._key, self._indices, positions)
        chosen._known = self._known
        return chosen

    def bits(self, purpose: int) -> Tensor:
        """64 random bits each, int64 [B]."""
        if purpose not in self._known:
            self._known[purpose] = keyed((*self._key, purpose), self._indices)
        whole = self._known[purpose]
        return whole if self._positions is None else whole.index_select(0, self._positions)

    def below(self, purpose: int, bound: int) -> Tensor:
        """Uniform integers in 0 .. bound - 1, int64 [B] (bias below bound / 2^31)."""
        return (((self.bits(purpose) >> 33) & (2**31 - 1)) * bound) >> 31

    def unit(self, purpose: int) -> Tensor:
        """Uniform multiples of 2^-24 in 0 <= u < 1, float32 [B]: exact on every device."""
        return ((self.bits(purpose) >> 40) & (2**24 - 1)).to(torch.float32) * 2.0**-24

    def happens(self, purpose: int, probability: float) -> Tensor:
        """True with `probability`, bool [B]."""
        return self.unit(purpose) >= 1 - probability

    def between(self, purpose: int, low: float, high: float) -> Tensor:
        """Uniform numbers from `low` to `high`, float32 [B]."""
        return self.unit(purpose) * (high - low) + low
