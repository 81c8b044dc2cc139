"""The gates of one batch."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from secateurs.criteria._gate import gated
from secateurs.criteria._sites import Site
from secateurs.criteria._watching import Sight

__all__ = ["Gates", "Products", "SeenAt"]

SeenAt = Mapping[Site, tuple[Tensor, Tensor]]
"""Positions and units of an axis at each of its sites, on the device."""
Products = Mapping[str, Tensor]
"""Activation times gradient, float64 [images, units] by axis."""


class Gates:
    """A gate for every channel of every image, wherever units pass by.

    Args:
        images: in the batch.
    """

    def __init__(self, images: int) -> None:
        self._images = images
        self._sights: list[tuple[Site, int]] = []
        self.leaves: list[Tensor] = []

    def put(self, sight: Sight) -> Tensor:
        """Put a gate into the way, and say what comes out of it."""
        values = sight.values
        dtype = torch.promote_types(values.dtype, torch.float32)
        size = (self._images, values.shape[sight.dim])
        gate = torch.ones(size, dtype=dtype, device=values.device, requires_grad=True)
        self.leaves.append(gate)
        self._sights.append((sight.site, sight.first))
        return gated(values, gate, sight.dim, copy=sight.site.kind != "read")

    def products(self, axes: Mapping[str, SeenAt], sizes: Mapping[str, int], gradients: Sequence[Tensor]) -> Products:
        """Activation times gradient [images, units] by axis, of each image's own loss.

        Args:
            axes: where the units of each axis pass by.
            sizes: units of each axis.
            gradients: of the leaves, for the mean loss over the images.
        """
        by_site: dict[Site, Tensor] = {}
        for (site, first), gradient in zip(self._sights, gradients, strict=True):
            per_position = _folded(gradient * self._images, site.size)
            whole = by_site.get(site)
            if whole is None:
                whole = by_site[site] = gradient.new_zeros(self._images, site.size)
            whole[:, first : first + per_position.shape[1]] += per_position
        return {name: self._of(sizes[name], own, by_site) for name, own in axes.items()}

    def _of(self, size: int, own: SeenAt, by_site: Mapping[Site, Tensor]) -> Tensor:
        device = next(iter(own.values()))[0].device
        total = torch.zeros(self._images, size, dtype=torch.float64, device=device)
        for site, (positions, units) in own.items():
            if site in by_site:
                total.index_add_(1, units, by_site[site].double()[:, positions])
        return total


def _folded(channels: Tensor, size: int) -> Tensor:
    """From [images, channels] to [images, positions]: in groups, several channels share a position."""
    if channels.shape[1] <= size:
        return channels
    return channels.reshape(len(channels), -1, size).sum(1)
