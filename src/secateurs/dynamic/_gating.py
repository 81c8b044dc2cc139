"""Gates put into a network: decided first, carried out next, and recorded so that it can be loaded again."""

import types
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self, TypeVar, final

import torch
from torch import Tensor, nn

from secateurs._errors import ConfigError, PlanError
from secateurs.dynamic._blocks import find_blocks
from secateurs.dynamic._gated import CHILD, Gate, gated_forward
from secateurs.dynamic._heads import HEADS, FeedForward, HeadKind, Recurrent, RecurrentCore
from secateurs.dynamic._paths import SkipPath, skip_path
from secateurs.dynamic._route import Route
from secateurs.graph import readable
from secateurs.surgery import copy_model, record, register_change

__all__ = ["GATES", "Gating", "gate", "gates_of"]

M = TypeVar("M", bound=nn.Module)

GATES = f"*.{CHILD}.*"
"""A pattern of the parameters and axes of all gates, for `protect`: a cut then leaves gates as they are."""


@final
@dataclass(frozen=True, kw_only=True)
class Gating:
    """Which blocks get gates, and of what kind: a value that can be carried out on the model it was made for.

    Attributes:
        blocks: paths, in the order of execution, and the channels that come into each.
        head: kind of gate.
        size: of the recurrent gate's state.
        bias: of every gate's logit at first; at 2 all blocks run, with a chance of 88 %.
    """

    name: ClassVar[str] = "gates"

    blocks: tuple[tuple[str, int], ...]
    head: HeadKind = "rnn"
    size: int = 10
    bias: float = 2.0

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        return {**asdict(self), "blocks": [list(block) for block in self.blocks]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        if content["head"] not in HEADS:
            raise ValueError(f"gates of an unknown kind {content['head']!r}")
        blocks = tuple((str(path), int(channels)) for path, channels in content["blocks"])
        return cls(**{**content, "blocks": blocks})

    def carry_out(self, model: nn.Module) -> None:
        """Put the gates in, with new weights from torch's global generator; no name in the model changes.

        Raises:
            PlanError: another model than this was made for; nothing was changed.
        """
        blocks = [(_block_at(model, path), channels) for path, channels in self.blocks]
        paths = [_path_of(block, path) for (block, _), (path, _) in zip(blocks, self.blocks, strict=True)]
        route, core = Route(len(blocks)), None
        if self.head == "rnn":
            core = _placed(RecurrentCore(self.size, bias=self.bias), blocks[0][0])
        for number, ((block, channels), path) in enumerate(zip(blocks, paths, strict=True)):
            head = _placed(self._head(channels, core, owner=number == 0), block)
            gate = Gate(head, path, number=number, route=route)
            block.add_module(CHILD, gate.train(block.training))
            # An attribute of the instance: the class, its name in the model and all paths stay what they are, so
            # that plans and weights of before fit.
            vars(block)["forward"] = types.MethodType(gated_forward, block)

    def _head(self, channels: int, core: RecurrentCore | None, *, owner: bool) -> nn.Module:
        if core is not None:
            return Recurrent(channels, core, owner=owner)
        return FeedForward(channels, convolutions=2 if self.head == "ff1" else 1, bias=self.bias)


register_change(Gating.name, Gating.from_json)


def gate(
    model: nn.Module,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    head: HeadKind = "rnn",
    blocks: Iterable[str] | None = None,
    first: bool = False,
    size: int = 10,
    bias: float = 2.0,
    seed: int | None = None,
    inplace: bool = False,
) -> nn.Module:
    """Put a gate before every residual block, which skips it for the images that do not need it.

    In evaluation mode, skipped blocks are not computed: a batch is divided, and a single image passes by. In training
    mode every block is computed, decisions are made by threshold, and gradients go straight through them. The result
    is of the model's own class, and an ordinary module to trace, cut, save and load (with the factory of the network
    without gates); when traced, it takes every block.

    Source: Wang, Yu, Dou, Darrell, Gonzalez: SkipNet, learning dynamic routing in convolutional networks, 2018.

    Args:
        model: with residual blocks; see `find_blocks`. Cut before or not.
        args, kwargs: an example call, given in any of the ways of `trace`.
        head: `rnn`, one LSTM that steps over all blocks; `ff1`, two convolutions for each block; `ff2`, one.
        blocks: patterns of module paths; only these blocks, and all of these.
        first: the first block found gets a gate too; else it always runs.
        size: of the LSTM's state, and of what it is given of each block.
        bias: of the logits at first.
        seed: for the gates' weights; None takes them from torch's global generator.
        inplace: put them into `model` itself, otherwise into a copy.

    Raises:
        GraphError: the model fails on the example, or has no such blocks.
        PlanError: it has gates already.
        ConfigError: no such kind of gate.
    """
    if head not in HEADS:
        raise ConfigError("head", wanted=f"one of {', '.join(HEADS)}", got=repr(head), cure="Choose one of these.")
    model = readable(model, where="gate")
    found = find_blocks(model, args, kwargs, blocks=blocks)
    chosen = found if first else found[1:]
    if not chosen:
        cure = "Let the first block have a gate too (first=True)."
        raise PlanError(found[0].path, wanted="a block besides the first", got="this one alone", cure=cure)
    _check_shapes(head, {block.path: block.shape for block in chosen})
    gating = Gating(blocks=tuple((block.path, block.channels) for block in chosen), head=head, size=size, bias=bias)
    gated = model if inplace else copy_model(model)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        gating.carry_out(gated)
    record(gated, gating)
    return gated


def gates_of(model: nn.Module) -> dict[str, Gate]:
    """The gates by the paths of their blocks, in the order of execution; empty where there are none."""
    found = {path: module for path, module in model.named_modules() if isinstance(module, Gate)}
    ordered = sorted(found.items(), key=lambda entry: entry[1].number)
    return {path.removesuffix(f".{CHILD}"): gate for path, gate in ordered}


def _check_shapes(head: HeadKind, shapes: Mapping[str, tuple[int, ...]]) -> None:
    for path, shape in shapes.items():
        if head != "rnn" and len(shape) != 3:
            raise ConfigError(
                path,
                wanted="images [B, C, H, W], which a feed-forward gate convolves",
                got=f"an input of shape [B, {', '.join(map(str, shape))}]",
                cure="Take head='rnn'.",
            )


def _block_at(model: nn.Module, path: str) -> nn.Module:
    try:
        block = model.get_submodule(path)
    except AttributeError as error:
        raise PlanError(path, wanted="a block of the model", got="no such module", cure=_CURE) from error
    if hasattr(block, CHILD) or "forward" in vars(block):
        cure = "Take the network as it was before."
        raise PlanError(path, wanted="a block without a gate", got="one with a gate or a changed forward", cure=cure)
    return block


def _path_of(block: nn.Module, path: str) -> SkipPath:
    found = skip_path(block)
    if found is None:
        raise PlanError(path, wanted="a block that adds to its input", got=type(block).__name__, cure=_CURE)
    return found


def _placed(module: M, block: nn.Module) -> M:
    """On the block's device, and of its floating type."""
    like = next((tensor for tensor in block.parameters() if tensor.is_floating_point()), None)
    return module if like is None else module.to(like.device, like.dtype)


_CURE = "Use the model that the gates were made for."
