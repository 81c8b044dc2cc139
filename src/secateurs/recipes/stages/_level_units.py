"""Units of a network that is pruned in levels, by layer and by their indices in the original network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.graph import Graph
from secateurs.masks import UnitMasks
from secateurs.selection import Own, units_alone
from secateurs.surgery import lineage

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["LevelUnits"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelUnits:
    """The units that take part in a level.

    Attributes:
        owns: their axes.
        rows: axis name -> for each unit, its places in its layer as the network is now.
        origins: axis name -> for each unit, its places in that layer of the original network.
        gone: axis name -> units that are masked.
        sizes: layer -> places in the original network.
    """

    owns: tuple[Own, ...]
    rows: Mapping[str, tuple[tuple[int, ...], ...]]
    origins: Mapping[str, tuple[tuple[int, ...], ...]]
    gone: Mapping[str, tuple[int, ...]]
    sizes: Mapping[str, int]

    @classmethod
    def of(
        cls, session: "Session", graph: Graph, *, protect: Sequence[str], kinds: Sequence[str] | None
    ) -> "LevelUnits":
        """Those of `session.model` as it is now."""
        owns, history = units_alone(graph, protect=protect, kinds=kinds), lineage(graph.model)
        if not owns:
            cure = "Loosen protect and kinds; print(graph) lists all axes."
            raise ConfigError("levels", wanted="units that one layer makes alone", got="none", cure=cure)
        rows = {own.axis.name: _rows(own) for own in owns}
        places = {own.axis.name: history.places(own.made.path)[own.made.dim].tolist() for own in owns}
        origins = {
            name: tuple(tuple(places[name][row] for row in unit) for unit in units) for name, units in rows.items()
        }
        masks = session.masks
        gone = {own.axis.name: _masked(own, rows[own.axis.name], masks) for own in owns}
        sizes = {own.layer: history.size(own.made.path, own.made.dim) for own in owns}
        return cls(owns=owns, rows=rows, origins=origins, gone=gone, sizes=sizes)

    @property
    def layers(self) -> tuple[str, ...]:
        """In execution order."""
        return tuple(dict.fromkeys(own.layer for own in self.owns))

    @property
    def kept(self) -> dict[str, int]:
        """Layer to the units that are there and not masked."""
        counts = dict.fromkeys(self.layers, 0)
        for own in self.owns:
            counts[own.layer] += own.axis.size - len(self.gone[own.axis.name])
        return counts

    def originals(self, units: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
        """Units by axis as their places in the original network by layer; every layer is there."""
        found: dict[str, list[int]] = {layer: [] for layer in self.layers}
        for own in self.owns:
            name = own.axis.name
            found[own.layer] += [place for unit in units.get(name, ()) for place in self.origins[name][unit]]
        return {layer: sorted(places) for layer, places in found.items()}

    def alive(self, name: str) -> list[int]:
        """The units of an axis that are not masked, ascending."""
        gone = set(self.gone[name])
        return [unit for unit in range(len(self.rows[name])) if unit not in gone]


def _rows(own: Own) -> tuple[tuple[int, ...], ...]:
    found: list[list[int]] = [[] for _ in range(own.axis.size)]
    for row, unit in zip(own.made.positions.tolist(), own.made.units.tolist(), strict=True):
        found[unit].append(row)
    return tuple(tuple(rows) for rows in found)


def _masked(own: Own, rows: Sequence[Sequence[int]], masks: UnitMasks | None) -> tuple[int, ...]:
    if masks is None or masks.options.granularity != "channel":
        return ()
    kept: Tensor = masks.units.get(own.layer, torch.ones(0, dtype=torch.bool))
    stays = kept.tolist()
    return tuple(unit for unit, own_rows in enumerate(rows) if stays and not any(stays[row] for row in own_rows))
