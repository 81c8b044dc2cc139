"""How Kronecker factors are measured."""

from dataclasses import dataclass
from typing import Literal

from secateurs._errors import ConfigError

__all__ = ["FactorOptions"]


@dataclass(frozen=True, kw_only=True)
class FactorOptions:
    """What is measured, and how.

    Attributes:
        fisher: "true", over labels as the model itself gives them chances, every image with one combination of all
            labels under random signs; "sampled", the same mean from one label drawn per image, as published, which
            networks that are sure of their images estimate by a few of them alone; or "empirical", by gradients of the
            loss with the targets given (`fisher_type`).
        inputs: "channel", second moments of input channels, averaged over positions and kernel offsets; or "patch",
            of whole patches, channel x kernel offset (`sua`, `use_patch`). The same where kernels have one place.
        decay: None for plain means over all images; or the weight that a running average keeps at every batch
            (0.9 in static-and-dynamic pruning), which begins with the first batch.
        damping: added to both factors at the end, split between them by their mean eigenvalues; see `damped`.
        seed: of the signs or labels that are drawn.

    Raises:
        ConfigError: an unknown word or a number that makes no sense.
    """

    fisher: Literal["true", "sampled", "empirical"] = "true"
    inputs: Literal["channel", "patch"] = "channel"
    decay: float | None = None
    damping: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("fisher", ("true", "sampled", "empirical")), ("inputs", ("channel", "patch"))):
            if getattr(self, name) not in known:
                wanted, got = f"one of {', '.join(known)}", repr(getattr(self, name))
                raise ConfigError(f"factors, {name}", wanted=wanted, got=got, cure="Take one of these.")
        if self.decay is not None and not 0 <= self.decay < 1:
            cure = "Give the weight of what was seen before, or None for plain means."
            raise ConfigError("factors, decay", wanted="a number in [0, 1)", got=repr(self.decay), cure=cure)
        if not 0 <= self.damping < float("inf"):
            cure = "0 adds nothing."
            raise ConfigError("factors, damping", wanted="a number of at least 0", got=repr(self.damping), cure=cure)
