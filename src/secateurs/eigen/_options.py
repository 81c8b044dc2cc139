"""How a network is rotated into its eigenbasis, and what is cut there."""

from dataclasses import dataclass, field
from typing import Literal

from secateurs._errors import ConfigError
from secateurs.statistics import FactorOptions

__all__ = ["EigenOptions"]


@dataclass(frozen=True, kw_only=True)
class EigenOptions:
    """Which directions go, and what is left in the place of a layer.

    Attributes:
        factors: how the factors are measured. "channel" makes 1x1 - kxk - 1x1 bottlenecks, "patch" kxk - 1x1.
        limit: the largest fraction of a layer's input directions, and of its output directions, that goes in one
            rotation (`prune_ratio_limit`; .95 for one pass, .5 for several are the published settings).
        order: "cost", as little importance as possible goes for what is saved, rotations counted; or "importance", the
            least important directions of all layers go, one threshold for all, as published.
        normalize: divide importances by their sum over the layer first.
        ekfac: eigenvalues by a second pass, as second moments of each image's own gradient in the eigenbasis, in
            place of products of the factors' eigenvalues (`correct_eigenvalues`, there of the first batch alone).
        method: "directions", the eigenvectors that are left; or "tucker", a Tucker decomposition of the rotated kernel
            to as many of both sides (`decomp_method`).
        rotations: "trainable", or "fixed": the 1x1 layers ask for no gradients (`fix_rotation`). They count as
            parameters either way.
        fold: multiply a rotation into the layer between where that makes the layer cheaper; a side that keeps
            everything never pays for a rotation then. Without it there are always three layers. Nothing is folded where
            nothing is cut.

        norms: "renewed", stored statistics of batch norms move as the cut moved those of the images, at the price of a
            pass forward through both models; or "kept", those of the model, as published.

    Raises:
        ConfigError: an unknown word, or a limit outside (0, 1).
    """

    factors: FactorOptions = field(default_factory=FactorOptions)
    limit: float = 0.95
    order: Literal["cost", "importance"] = "cost"
    normalize: bool = False
    ekfac: bool = False
    method: Literal["directions", "tucker"] = "directions"
    rotations: Literal["trainable", "fixed"] = "trainable"
    fold: bool = True
    norms: Literal["renewed", "kept"] = "renewed"

    def __post_init__(self) -> None:
        words = {
            "order": ("cost", "importance"),
            "method": ("directions", "tucker"),
            "rotations": ("trainable", "fixed"),
            "norms": ("renewed", "kept"),
        }
        for name, known in words.items():
            if getattr(self, name) not in known:
                wanted, got = " or ".join(map(repr, known)), repr(getattr(self, name))
                raise ConfigError(f"eigen, {name}", wanted=wanted, got=got, cure="Take one of these.")
        if isinstance(self.limit, bool) or not 0 < self.limit < 1:
            cure = "Give the largest fraction of a layer's directions that may go."
            raise ConfigError("eigen, limit", wanted="a ratio between 0 and 1", got=repr(self.limit), cure=cure)
