"""One call of a gated network, from its first gate to its last."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Tensor, nn

from secateurs._errors import GraphError

__all__ = ["Policy", "Route", "computing_all", "deciding", "route_of"]


class Policy(Protocol):
    """Turns the chances of a gate into decisions.

    Attributes:
        binary: decisions are 0 or 1, so that what is 0 need not be computed.
    """

    binary: bool

    def mask(self, number: int, logit: Tensor) -> Tensor:
        """What images take of the block behind gate `number`, [B], of the dtype of `logit`, [B].

        The chance of running the block is the sigmoid of the logit.
        """
        ...


class Route:
    """What the gates of a network share: their number, how they decide, and the state of the call at hand.

    Attributes:
        gates: how many there are.
        policy: how they decide; None for the usual way, above one half.
        whole: compute every block for every image, and choose then.
        state: of the recurrent gate, within a call.
    """

    def __init__(self, gates: int) -> None:
        self.gates = gates
        self.policy: Policy | None = None
        self.whole = False
        self.state: Any = None
        self._next = 0

    def enter(self, number: int) -> None:
        """A call comes to this gate.

        Raises:
            GraphError: it has not passed the one before.
        """
        if number == 0:
            self.state, self._next = None, 0
        if number != self._next:
            self._next = 0
            raise GraphError(
                f"gate {number}",
                wanted=f"gate {self._next} first, since gates follow one another",
                got="a call that begins in the middle",
                cure="Call the network that was gated, not a part of it.",
            )
        self._next += 1

    def leave(self, number: int) -> None:
        """Nothing of the images is kept once the last gate is passed."""
        if number == self.gates - 1:
            self.state, self._next = None, 0


def route_of(model: nn.Module) -> Route:
    """What the gates of a model share, whatever it is wrapped in.

    Raises:
        GraphError: it has no gates.
    """
    for module in model.modules():
        route = getattr(module, "route", None)
        if isinstance(route, Route):
            return route
    raise GraphError(
        type(model).__name__,
        wanted="a network with gates",
        got="one without",
        cure="Put gates in: secateurs.dynamic.gate(model, args=(x,)).",
    )


@contextmanager
def deciding(model: nn.Module, policy: Policy) -> Iterator[None]:
    """Inside, the gates of the model decide by this policy."""
    route = route_of(model)
    before, route.policy = route.policy, policy
    try:
        yield
    finally:
        route.policy = before


@contextmanager
def computing_all(model: nn.Module) -> Iterator[None]:
    """Inside, every block is computed for every image, and what was decided against is thrown away.

    The outputs are the same. For what looks into blocks and wants to see all images there, such as criteria.
    """
    route = route_of(model)
    before, route.whole = route.whole, True
    try:
        yield
    finally:
        route.whole = before
