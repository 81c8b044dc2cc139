"""A block behind a gate: computed for the images that need it, and passed by for the others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from secateurs.dynamic._paths import SkipPath
from secateurs.dynamic._policies import Proving, Thresholded
from secateurs.dynamic._route import Policy, Route
from secateurs.graph import look

__all__ = ["CHILD", "Gate", "gated_forward"]

CHILD = "skip_gate"
"""Name of a gate in the block that it is for."""

_USUAL, _PROVING = Thresholded(), Proving()
_LOOKING = ("secateurs.", "torch._subclasses", "torch.fx.")
"""Where dispatch modes come from that read a network's operators, so that all must be there."""


@final
class Gate(nn.Module):
    """Decides for a block, by what comes into it.

    Args:
        head: takes the block's input and the route, gives a logit for each image.
        path: what the block passes on when it is skipped.
        number: of this gate, in the order of execution.
        route: shared by all gates of the network.
    """

    def __init__(self, head: nn.Module, path: SkipPath, *, number: int, route: Route) -> None:
        super().__init__()
        self.head = head
        self.path, self.number, self.route = path, number, route

    def forward(self, x: Tensor) -> Tensor:
        """What each image takes of the block, [B]."""
        self.route.enter(self.number)
        logit: Tensor = self.head(x, self.route)
        mask = self._policy().mask(self.number, logit)
        self.route.leave(self.number)
        return mask

    def computes_all(self, x: Tensor) -> bool:
        """Whether the block is to be computed for every image: training, soft gates, and who looks on."""
        return self.training or self.route.whole or not self._policy().binary or _looked_at(x)

    def _policy(self) -> Policy:
        # A block that the example skips could be cut wrongly, and a hard decision hides what is wrong with its gate.
        return _PROVING if not torch.compiler.is_compiling() and look() == "proof" else self.route.policy or _USUAL

    def extra_repr(self) -> str:
        """Shown by `print(model)`."""
        return f"number={self.number} of {self.route.gates}"


def gated_forward(block: nn.Module, x: Tensor) -> Tensor:
    """In the place of a block's own `forward`."""
    gate = getattr(block, CHILD)
    mask: Tensor = gate(x)
    if gate.computes_all(x):
        return _mixed(block, gate.path, x, mask)
    return _partitioned(block, gate.path, x, mask > 0)


def _run(block: nn.Module, x: Tensor) -> Tensor:
    found: Tensor = type(block).forward(block, x)
    return found


def _mixed(block: nn.Module, path: SkipPath, x: Tensor, mask: Tensor) -> Tensor:
    """All of it, for the images that it is for. BatchNorm's statistics in training are those of all images."""
    with _noted(block, path) as known:
        ran = _run(block, x)
    untouched = {name: output for name, (output, version) in known.items() if output._version == version}
    passed = path.run(block, x, untouched)
    share = mask.to(torch.promote_types(ran.dtype, passed.dtype)).reshape(-1, *[1] * (ran.dim() - 1))
    # Not passed + share * (ran - passed): with a share of 1 that is not quite what ran.
    return share * ran + (1 - share) * passed


@contextmanager
def _noted(block: nn.Module, path: SkipPath) -> Iterator[dict[str, tuple[Tensor, int]]]:
    """What projections on the path give within, so that they are computed, and update their statistics, once."""
    known: dict[str, tuple[Tensor, int]] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not output.is_inference():
                # With its version: code that goes on in place may write into it.
                known[name] = output, output._version

        return hook

    modules = [(name, block.get_submodule(name)) for name in path.weighing(block)]
    handles = [module.register_forward_hook(note(name)) for name, module in modules]
    try:
        yield known
    finally:
        for handle in handles:
            handle.remove()


def _partitioned(block: nn.Module, path: SkipPath, x: Tensor, runs: Tensor) -> Tensor:
    """The block for some images alone."""
    if len(x) == 1:
        return _run(block, x) if bool(runs) else path.run(block, x)
    some = runs.nonzero().squeeze(1)
    if len(some) == len(x):
        return _run(block, x)
    if not len(some):
        return path.run(block, x)
    ran = _run(block, _rows(x, some))
    if path.weighs(block):
        others = (~runs).nonzero().squeeze(1)
        passed = path.run(block, _rows(x, others))
        return _put(_put(_room(ran, passed, len(x)), others, passed), some, ran)
    # Without weights the path costs less for all images than to pick some out and put them back.
    passed = path.run(block, x)
    own = passed.untyped_storage().data_ptr() != x.untyped_storage().data_ptr()
    return _put(passed if own else passed.clone(), some, ran)


def _rows(x: Tensor, chosen: Tensor) -> Tensor:
    # The faster of the two loses the order of memory.
    return x.index_select(0, chosen) if x.is_contiguous() else x[chosen]


def _room(ran: Tensor, passed: Tensor, images: int) -> Tensor:
    last = ran.dim() == 4 and not ran.is_contiguous() and ran.is_contiguous(memory_format=torch.channels_last)
    return torch.empty(
        (images, *ran.shape[1:]),
        dtype=torch.promote_types(ran.dtype, passed.dtype),
        device=ran.device,
        memory_format=torch.channels_last if last else torch.contiguous_format,
    )


def _put(out: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    out = out.to(torch.promote_types(out.dtype, values.dtype))
    if out.requires_grad:  # what made it may want to see it again, backwards
        return out.index_copy(0, rows, values.to(out.dtype))
    return out.index_copy_(0, rows, values.to(out.dtype))


def _looked_at(x: Any) -> bool:
    if torch.compiler.is_compiling():
        return torch.compiler.is_exporting()
    return (
        look() != "none"
        or x.is_meta
        or any(type(mode).__module__.startswith(_LOOKING) for mode in _get_current_dispatch_mode_stack())
    )
