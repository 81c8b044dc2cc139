"""How a repair is done."""

from dataclasses import dataclass
from typing import Literal

from secateurs._errors import ConfigError

__all__ = ["RepairOptions"]


@dataclass(frozen=True, kw_only=True)
class RepairOptions:
    """How a repair is done.

    Attributes:
        ridge: what pulls solutions towards the cut weights, over the mean variance of what a layer reads.
        layers: "consumers", those that read what was cut; or "all" from the first cut on, so that later layers make up
            for what earlier ones could not.
        parallel: fit every layer on the dense model's inputs alone, in one pass, instead of one layer after the other.
        batch_norm: let stored statistics move as the cut moved those of the calibration images.
        rows: how many patches of a layer are looked at, or 64 for each input (channel x offset) if that is more; they
            are spread over all images, at random places of each.
        moments_bytes: the most that the second moments of one layer take; where whole patches need more, only
            channels are combined, by the same matrix at every kernel offset.

    Raises:
        ConfigError: an unknown word or a number that makes no sense.
    """

    ridge: float = 1e-6
    layers: Literal["all", "consumers"] = "all"
    parallel: bool = False
    batch_norm: bool = True
    rows: int = 2**16
    moments_bytes: int = 2**28

    def __post_init__(self) -> None:
        if self.layers not in ("all", "consumers"):
            cure = "Take one of these."
            raise ConfigError("repair, layers", wanted="'all' or 'consumers'", got=repr(self.layers), cure=cure)
        if not 0 <= self.ridge < float("inf"):
            cure = "1e-6 is usual; with more the weights stay closer to what they were."
            raise ConfigError("repair, ridge", wanted="a number of at least 0", got=repr(self.ridge), cure=cure)
        if self.rows <= 0:
            cure = "Give how many patches to look at in each layer."
            raise ConfigError("repair, rows", wanted="more than 0", got=repr(self.rows), cure=cure)
        if self.moments_bytes <= 0:
            cure = "Give the memory for one layer's moments in bytes."
            raise ConfigError("repair, moments_bytes", wanted="more than 0", got=repr(self.moments_bytes), cure=cure)
