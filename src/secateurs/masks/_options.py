"""What a mask on weights is made of, as one frozen value."""

from dataclasses import dataclass
from typing import Literal

from secateurs._errors import ConfigError

__all__ = ["Granularity", "MaskOptions"]

Granularity = Literal["weight", "kernel", "channel", "pattern"]


@dataclass(frozen=True, kw_only=True)
class MaskOptions:
    """Which weights a mask leaves.

    Attributes:
        rate: fraction removed, of the units of each layer (`scope` "layerwise") or of all of them together.
        granularity: what goes as one: a "weight"; a "kernel", the weights between one input and one output channel;
            a "channel", all weights of an output channel or neuron; or a "pattern", where of each `group` weights
            along the inputs `group_kept` stay, which sparse tensor cores compute faster.
        scope: "layerwise" removes `rate` of each layer, "global" the lowest units of all layers together.
        rank: "absolute" ranks units by their scores, "relevant" by their scores over their initial scores, which
            asks which units training has made matter (kernels and channels only).
        signed: take sums of scores instead of sums of their absolute values.
        floor: units that every layer keeps at least.
        rates: a rate for each layer in the order of the model's modules; `rate` where it ends. 0 leaves a layer whole.
        protect: layers that stay whole, by patterns of their names; "linear" for all linear layers, "linear_last"
            for the last of them, "axis:PATTERN" for all that produce these axes.
        group: length of a "pattern".
        group_kept: weights that stay in each group.

    Raises:
        ConfigError: a value out of range, or two that do not go together.
    """

    rate: float = 0.5
    granularity: Granularity = "channel"
    scope: Literal["layerwise", "global"] = "layerwise"
    rank: Literal["absolute", "relevant"] = "absolute"
    signed: bool = False
    floor: int = 1
    rates: tuple[float, ...] = ()
    protect: tuple[str, ...] = ()
    group: int = 4
    group_kept: int = 2

    def __post_init__(self) -> None:
        self._check_choices()
        for name, rate in (("rate", self.rate), *((f"rates.{number}", rate) for number, rate in enumerate(self.rates))):
            _require(0 <= rate < 1, name, "a fraction removed, from 0 up to, not including, 1", rate)
        _require(self.floor >= 1, "floor", "at least 1, or a layer may be emptied", self.floor)
        _require(1 <= self.group_kept <= self.group, "group_kept", "1 to `group` weights", self.group_kept)

    def _check_choices(self) -> None:
        # Options also come from files, where a type checker does not look.
        _choose("granularity", self.granularity, ("weight", "kernel", "channel", "pattern"))
        _choose("scope", self.scope, ("layerwise", "global"))
        _choose("rank", self.rank, ("absolute", "relevant"))
        whole = self.granularity in ("kernel", "channel")
        _require(whole or self.rank == "absolute", "rank", "'absolute' for single weights", self.rank)
        layerwise = self.granularity != "pattern" or self.scope == "layerwise"
        _require(layerwise, "scope", "'layerwise' with granularity 'pattern', which has no freedom", self.scope)


def _require(good: bool, name: str, wanted: str, got: object) -> None:
    if not good:
        raise ConfigError(f"mask.{name}", wanted=wanted, got=repr(got), cure=f"Correct {name}.")


def _choose(name: str, got: str, choices: tuple[str, ...]) -> None:
    _require(got in choices, name, "one of " + ", ".join(map(repr, choices)), got)
