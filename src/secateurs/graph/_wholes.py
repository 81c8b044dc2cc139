"""Functions that torch takes apart before any dispatch mode sees them, run as the one operator that they are.

In pieces their sizes would be plain numbers (the root of a head size) or their loops endless (time steps). Both a
trace and a masked run hand them to one rule.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes

from secateurs.graph._call import Call, Rule
from secateurs.graph._mode import LabelMode
from secateurs.graph.rules import RULES

__all__ = ["WHOLES", "run_whole"]

Shape = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A function, the operator that it is, and what it returns.

    Attributes:
        overloadpacket: the operator.
        empty: its result on tensors without contents.
    """

    overloadpacket: Any
    empty: Shape

    @property
    def rule(self) -> Rule:
        """The operator's rule."""
        return RULES[self.overloadpacket._qualified_op_name]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the operator."""
        return self.overloadpacket(*args, **kwargs)


def run_whole(mode: LabelMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Send a call of one of `WHOLES` through its rule; its result."""
    whole = WHOLES[func]
    call = Call(mode, whole, args, kwargs)
    with _disable_current_modes():  # what the rule computes is not the model's doing
        if any(_is_empty(tensor) for tensor in call.tensors):
            call.put(whole.empty(*args, **kwargs))
        whole.rule(call)
        call.close()
    return call.out


# ---------------------------------------------------------------------- results without contents


def _attention(query: Tensor, key: Tensor, value: Tensor, *_more: Any, **_options: Any) -> Tensor:
    """[..., H, L, V], the dims in memory in the order of the query's, as the fast kernel makes it.

    Also where a value size of its own keeps that kernel away: what is counted must not depend on equal sizes.
    """
    shape = (*torch.broadcast_shapes(query.shape[:-3], key.shape[:-3]), *query.shape[-3:-1], value.shape[-1])
    if query.dim() != 4:
        return query.new_empty(shape)
    order = sorted(range(len(shape)), key=lambda dim: (-query.stride()[dim], dim))
    return query.new_empty([shape[dim] for dim in order]).permute([order.index(dim) for dim in range(len(shape))])


def _sequence(*args: Any) -> tuple[Tensor, ...]:
    """Output [..., directions * P] and last states of a recurrent layer, as `rules.recurrent` says."""
    packed = isinstance(args[3], (list, tuple))
    data, (state, weights, *_) = args[0], args[2 if packed else 1 :]
    states = [state] if isinstance(state, Tensor) else state
    directions = 2 if args[8 if packed else 7] else 1
    out = data.new_empty((*data.shape[:-1], directions * weights[1].shape[1]))
    return out, *[data.new_empty(given.shape) for given in states]


def _step(data: Tensor, state: Any, *_weights: Any) -> Any:
    """The next state, or output and memory."""
    if isinstance(state, Tensor):
        return data.new_empty(state.shape)
    return tuple(data.new_empty(given.shape) for given in state)


def _pack(data: Tensor, lengths: Tensor, batch_first: bool) -> tuple[Tensor, Tensor]:
    """All steps, sizes per step; the lengths must be known."""
    rows, sizes = torch.ops.aten._pack_padded_sequence(_known(lengths).new_zeros(data.shape[:2]), lengths, batch_first)
    return data.new_empty((len(rows), *data.shape[2:])), sizes


def _pad(data: Tensor, sizes: Tensor, *more: Any) -> tuple[Tensor, Tensor]:
    """Padded steps, lengths."""
    grid, lengths = torch.ops.aten._pad_packed_sequence(_known(sizes).new_zeros(len(data)), sizes, *more)
    return data.new_empty((*grid.shape, *data.shape[1:])), lengths


def _known(values: Tensor) -> Tensor:
    if _is_empty(values):
        raise NotImplementedError("lengths of sequences are data")  # then the model runs for real
    return values


def _is_empty(tensor: Tensor) -> bool:
    return isinstance(tensor, FakeTensor) or tensor.is_meta


def _wholes(empty: Shape, *names: str) -> dict[Any, Whole]:
    return {getattr(torch, n): Whole(overloadpacket=getattr(torch.ops.aten, n), empty=empty) for n in names}


WHOLES: Mapping[Any, Whole] = {
    F.scaled_dot_product_attention: Whole(overloadpacket=torch.ops.aten.scaled_dot_product_attention, empty=_attention),
    **_wholes(_sequence, "lstm", "gru", "rnn_tanh", "rnn_relu"),
    **_wholes(_step, "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
    **_wholes(_pack, "_pack_padded_sequence"),
    **_wholes(_pad, "_pad_packed_sequence"),
}
"""Python function to its whole."""
