"""The gates of one batch, and where its images are."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from secateurs.criteria._data import Batch
from secateurs.criteria._gate import gated, mixed
from secateurs.criteria._images import PROBE, Layout, chosen, means, possible
from secateurs.criteria._sites import Site
from secateurs.criteria._watching import Sight, watched
from secateurs.graph import Graph, map_tensors

__all__ = ["Gates", "Layouts", "Products", "SeenAt"]

SeenAt = Mapping[Site, tuple[Tensor, Tensor]]
"""Positions and units of an axis at each of its sites, on the device."""
Products = Mapping[str, Tensor]
"""Activation times gradient, float64 [images, units] by axis."""
_Call = tuple[Site, int]
"""Which, in succession, of a site."""
_Means = dict[_Call, list[tuple[Layout, Tensor]]]


class Layouts:
    """Where images are in what passes by at sites, found out once where sizes do not say it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[_Call, Layout] = {}

    def of(self, call: _Call) -> Layout:
        """At a call that was learned.

        Raises:
            PlanError: another batch had no such call, or one that mixes images.
        """
        if call not in self._known:
            raise mixed(f"numbers at {call[0].path} that do not go with the images when these change places")
        return self._known[call]

    def learn(self, calls: Sequence[_Call], batch: Batch, images: int) -> None:
        """Find out where they are, by letting some change places."""
        unknown = {call for call in calls if call not in self._known}
        if not unknown:
            return
        rows = min(PROBE, images)
        before, after = (self._means(_few(batch, images, rows, rolled=rolled), unknown, rows) for rolled in (0, 1))
        for call in unknown:
            one, other = before.get(call, []), after.get(call, [])
            if [found.shape for _, found in one] == [found.shape for _, found in other]:  # not so where code routes
                layout = chosen(one, other)
                if layout is not None:
                    self._known[call] = layout

    def _means(self, batch: Batch, wanted: set[_Call], rows: int) -> _Means:
        found: _Means = {}
        calls: Counter[Site] = Counter()

        def see(sight: Sight) -> Tensor:
            call, dim = (sight.site, calls[sight.site]), sight.dim
            calls[sight.site] += 1
            if call in wanted and sight.values.numel():
                values = sight.values
                found[call] = [(layout, _told(values, dim, layout, rows)) for layout in possible(values, dim, rows)]
            return sight.values

        with torch.no_grad(), watched(self._graph, {site for site, _ in wanted}, see):
            batch.outputs(self._graph.model)
        return found


def _told(values: Tensor, dim: int, layout: Layout, rows: int) -> Tensor:
    """What tells a layout: means per image, or all values where these should be the same for any input."""
    return values.reshape(1, -1) if layout.dim is None else means(values, dim, layout, rows)


def _few(batch: Batch, images: int, rows: int, *, rolled: int) -> Batch:
    """The first images, each some places further, the last in front."""

    def pick(tensor: Tensor) -> Tensor:
        return tensor[:rows].roll(rolled, 0) if tensor.dim() and len(tensor) == images else tensor

    args, kwargs = map_tensors(pick, (batch.args, dict(batch.kwargs)))
    return replace(batch, args=args, kwargs=kwargs)


class Gates:
    """A gate for every channel of every image, wherever units pass by.

    Args:
        images: in the batch.
        layouts: where they are.
        written: sites of what code writes into later, so that a gate there must not be a view of it.
    """

    def __init__(self, images: int, layouts: Layouts, written: Set[Site]) -> None:
        self._images, self._layouts, self._written = images, layouts, written
        self._sights: list[tuple[Site, int]] = []
        self._calls: Counter[Site] = Counter()
        self.leaves: list[Tensor] = []
        self.unclear: list[_Call] = []

    def put(self, sight: Sight) -> Tensor:
        """Put a gate into the way, and say what comes out of it."""
        values, call = sight.values, (sight.site, self._calls[sight.site])
        self._calls[sight.site] += 1
        dtype = torch.promote_types(values.dtype, torch.float32)
        size = (self._images, values.shape[sight.dim])
        gate = torch.ones(size, dtype=dtype, device=values.device, requires_grad=True)
        self.leaves.append(gate)
        self._sights.append((sight.site, sight.first))
        return gated(values, gate, sight.dim, self._layout(sight, call), copy=sight.site in self._written)

    def _layout(self, sight: Sight, call: _Call) -> partial[Layout]:
        values = sight.values
        if self._images == 1:
            return partial(Layout, dim=None)
        # Convolutions and plain layers have images in front.
        if values.dim() + sight.dim == 1 and len(values) == self._images:
            return partial(Layout, dim=0)
        self.unclear.append(call)
        return partial(self._layouts.of, call)

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
