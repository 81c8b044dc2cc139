"""Which units of each layer stay, as a value that is kept in a file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from secateurs._errors import ConfigError, FileError
from secateurs._files import load_tensors, save_tensors
from secateurs.graph import Graph
from secateurs.masks._layers import maskable_layers
from secateurs.masks._options import MaskOptions
from secateurs.masks._rank import expand_units
from secateurs.masks._units import followers

__all__ = ["UnitMasks"]

_FORMAT = "secateurs-masks-1"


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitMasks:
    """The units of every layer that stay.

    Attributes:
        units: layer -> bool tensor, [out] for channels, [out, in] for kernels, the weight's shape for weights.
        options: what the masks were made of.
        origin: how they were chosen, in a word or two.
    """

    units: Mapping[str, Tensor]
    options: MaskOptions
    origin: str

    @property
    def rates(self) -> dict[str, float]:
        """Layer -> fraction of its units removed."""
        return {name: 1 - int(kept.sum()) / kept.numel() for name, kept in self.units.items()}

    def weights(self, graph: Graph) -> dict[str, Tensor]:
        """Path -> bool mask of a weight's shape; for channels also of the biases and norms behind them.

        Raises:
            ConfigError: the masks are of another network.
        """
        layers = maskable_layers(graph.model, graph)
        self._check({layer.name: graph.shapes[layer.weight] for layer in layers})
        found = {}
        for layer in layers:
            weight = torch.empty(graph.shapes[layer.weight], device="meta")
            found[layer.weight] = expand_units(self.units[layer.name].cpu(), weight).clone()
        for follower in followers(graph, layers) if self.options.granularity == "channel" else ():
            mask = torch.ones(graph.shapes[follower.path], dtype=torch.bool)
            mask[follower.positions] = self.units[follower.layer].cpu()[follower.channels]
            found[follower.path] = mask
        return found

    def save(self, path: Path) -> None:
        """Write one file; equal masks give equal bytes."""
        metadata = {"format": _FORMAT, "options": json.dumps(asdict(self.options)), "origin": self.origin}
        save_tensors(path, dict(self.units), metadata)

    @classmethod
    def load(cls, path: Path) -> "UnitMasks":
        """Read what `save` wrote.

        Raises:
            FileError: no such file, or not one of masks.
        """
        tensors, metadata = load_tensors(path)
        options = _options(metadata)
        if options is None or any(kept.dtype != torch.bool for kept in tensors.values()):
            cure = "Choose the masks.safetensors of a stage that makes masks."
            raise FileError(str(path), wanted="a file of masks", got="another safetensors file", cure=cure)
        return cls(units=tensors, options=options, origin=metadata.get("origin", ""))

    def _check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        for name in sorted(shapes.keys() | self.units.keys()):
            units = tuple(self.units[name].shape) if name in self.units else None
            weight = shapes.get(name)
            if units is None or weight is None or units != weight[: len(units)]:
                raise ConfigError(
                    f"masks of layer {name!r}",
                    wanted=f"units of a weight {list(weight)}" if weight else "a layer of the network",
                    got="no mask" if units is None else str(list(units)),
                    cure="Use masks with the network that they were made for: same model, same options.",
                )


def _options(metadata: Mapping[str, Any]) -> MaskOptions | None:
    if metadata.get("format") != _FORMAT:
        return None
    try:
        saved = json.loads(metadata["options"])
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in saved.items()
        }
        return MaskOptions(**values)
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError):
        return None
