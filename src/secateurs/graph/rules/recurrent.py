"""Recurrent layers: LSTM, GRU and plain RNNs over whole sequences, padded or packed, and their single steps.

Every gate of a layer has a row for every hidden unit, so the rows of a weight are gates x units. The state is one
tensor for all layers and directions: they lose the same units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor

from secateurs.graph._call import Call
from secateurs.graph._labels import NO_UNITS, Label, stack_columns
from secateurs.graph.rules._biases import count_bias
from secateurs.graph.rules._registry import register


@dataclass(frozen=True, kw_only=True)
class _Form:
    """The arguments of one call, whatever its form."""

    data: Tensor
    states: Sequence[Tensor]
    weights: Sequence[Tensor]
    biased: bool
    layers: int
    directions: int
    packed: bool
    step: bool

    @property
    def per_direction(self) -> int:
        """Weights of one layer in one direction."""
        return len(self.weights) // (self.layers * self.directions)


@register("lstm")
def lstm(call: Call) -> None:
    """Four gates; the state is an output and a memory, of two sizes where the output is projected."""
    form = _sequence(call)
    hidden, shown = _layers(call, form, gates=4)
    _state(call, form, (shown, hidden))
    _assign(call, form, shown, (shown, hidden))


@register("gru")
def gru(call: Call) -> None:
    """Three gates."""
    _simple(call, gates=3)


@register("rnn_tanh", "rnn_relu")
def rnn(call: Call) -> None:
    """No gates but the unit itself."""
    _simple(call, gates=1)


def _simple(call: Call, gates: int) -> None:
    form = _sequence(call)
    hidden, _ = _layers(call, form, gates)
    _state(call, form, (hidden,))
    _assign(call, form, hidden, (hidden,))


@register("lstm_cell")
def lstm_cell(call: Call) -> None:
    """One step; returns output and memory [B, H]."""
    _cell(call, gates=4, states=call.args[1])


@register("gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def cell(call: Call) -> None:
    """One step; returns the state [B, H]."""
    _cell(call, gates=3 if "gru" in call.name else 1, states=[call.args[1]])


def _cell(call: Call, gates: int, states: Sequence[Tensor]) -> None:
    weights = [tensor for tensor in call.args[2:] if tensor is not None]
    form = _Form(
        data=call.args[0], states=states, weights=weights, biased=len(weights) > 2, layers=1, directions=1,
        packed=False, step=True,
    )  # fmt: skip
    hidden, _ = _layers(call, form, gates)
    _state(call, form, [hidden for _ in states])
    batch = [None for _ in call.labels(call.args[0])[:-1]]
    call.assign(*[[*batch, hidden] for _ in states])


@register("_pack_padded_sequence")
def pack(call: Call) -> None:
    """[T, B, ...] or [B, T, ...] -> [all steps, ...], sizes per step."""
    labels = call.labels(call.args[0])
    for label in labels[:2]:
        call.fix(label, "sequences and steps of a recurrent layer")
    call.assign([None, *labels[2:]], [None])


@register("_pad_packed_sequence")
def pad(call: Call) -> None:
    """[all steps, ...] -> [T, B, ...] or [B, T, ...], lengths."""
    labels = call.labels(call.args[0])
    call.fix(labels[0], "sequences and steps of a recurrent layer")
    call.assign([None, None, *labels[1:]], [None])


# ---------------------------------------------------------------------- the forms of a call


def _sequence(call: Call) -> _Form:
    """(data, state, weights, ...) or, for packed sequences, (data, batch sizes, state, weights, ...)."""
    packed = isinstance(call.args[3], (list, tuple))
    state, weights, biased, layers, _, _, bidirectional = call.args[2 if packed else 1 :][:7]
    return _Form(
        data=call.args[0],
        states=[state] if isinstance(state, Tensor) else state,
        weights=weights,
        biased=bool(biased),
        layers=int(layers),
        directions=2 if bidirectional else 1,
        packed=packed,
        step=False,
    )


def _layers(call: Call, form: _Form, gates: int) -> tuple[Label | None, Label | None]:
    """Tie every weight; the labels of the hidden units and of what a layer shows (others where it projects)."""
    hidden = shown = None
    reads, width = call.labels(form.data)[-1], form.data.shape[-1]
    call.unify(reads, call.labels(form.weights[0])[1], call.reading(form.data))
    for layer in range(form.layers):
        for direction in range(form.directions):
            first = (layer * form.directions + direction) * form.per_direction
            own = form.weights[first : first + form.per_direction]
            units, out = _weights(call, form, own, gates, (reads, width))
            if hidden is None:
                hidden, shown = units, out
            call.unify(hidden, units)
            call.unify(shown, out)
        width = form.weights[1].shape[1]
        reads = stack_columns([shown] * form.directions, [width] * form.directions)
        width *= form.directions
    _mask(call, form)
    return hidden, shown


def _weights(
    call: Call, form: _Form, own: Sequence[Tensor], gates: int, reads: tuple[Label | None, int]
) -> tuple[Label | None, Label | None]:
    """One layer in one direction: [gates * H, I], [gates * H, P], biases [gates * H], projection [P, H]."""
    from_input, from_state = own[:2]
    units = from_input.shape[0] // gates
    rows = [call.labels(tensor)[0] for tensor in (from_input, from_state, *(own[2:4] if form.biased else ()))]
    for other in rows[1:]:
        call.unify(rows[0], other)
    call.unify(reads[0], call.labels(from_input)[1])
    gate, hidden = call.algebra.split(rows[0], (gates, units), call.why("gates of a recurrent layer"))
    call.algebra.fix(gate, NO_UNITS)
    shown = hidden
    if len(own) % 2:
        projection = own[-1]
        shown, columns = call.labels(projection)
        call.unify(hidden, columns)
        call.mark("hidden", shown, producer=projection)
    call.unify(shown, call.labels(from_state)[1])
    call.mark("hidden", rows[0], producer=from_input)
    call.mark("hidden", rows[0], producer=from_state)
    _count(call, form, own, (gates, units, hidden), reads)
    return hidden, shown


def _count(
    call: Call,
    form: _Form,
    own: Sequence[Tensor],
    rows: tuple[int, int, Label | None],
    reads: tuple[Label | None, int],
) -> None:
    """Every step of every sequence multiplies by every weight."""
    gates, units, hidden = rows
    steps = prod(form.data.shape[:-1])
    shown = call.labels(own[1])[1]
    call.macs([(steps * gates, None), (units, hidden), (reads[1], reads[0])], (form.data, own[0]), own[0])
    call.macs([(steps * gates, None), (units, hidden), (own[1].shape[1], shown)], (own[0], own[1]), own[1])
    for bias in own[2:4] if form.biased else ():
        count_bias(call, bias, [(steps * gates, None), (units, hidden)])
    if len(own) % 2:
        call.macs([(steps, None), (own[1].shape[1], shown), (units, hidden)], (own[0], own[-1]), own[-1])


def _state(call: Call, form: _Form, labels: Sequence[Label | None]) -> None:
    for tensor, label in zip(form.states, labels, strict=True):
        call.unify(call.labels(tensor)[-1], label)
    for tensor in (form.data, *form.states):
        for label in call.labels(tensor)[:-1]:
            call.fix(label, "sequences and steps of a recurrent layer")


def _assign(call: Call, form: _Form, shown: Label | None, states: Sequence[Label | None]) -> None:
    """The output of the last layer, both directions side by side, and the last states."""
    width = form.weights[1].shape[1]
    out = stack_columns([shown] * form.directions, [width] * form.directions)
    lead = [None for _ in range(form.data.dim() - 1)]
    dims = form.states[0].dim() - 1
    call.assign([*lead, out], *[[*[None] * dims, label] for label in states])


def _mask(call: Call, form: _Form) -> None:
    """A masked run reads zeros in the place of all weights that are gone: nothing reads or makes a removed unit."""
    if call.tracing:
        return
    masked = iter([_zeroed(call, tensor) for tensor in form.weights])
    args: list[Any] = list(call.args)
    if form.step:
        args[2:] = [None if tensor is None else next(masked) for tensor in args[2:]]
    else:
        args[3 if form.packed else 2] = list(masked)
    args[0] = _zeroed(call, form.data)
    call.put(call.func(*args, **call.kwargs))


def _zeroed(call: Call, tensor: Tensor) -> Tensor:
    dims = range(tensor.dim())
    return call.scatter(call.gather(tensor, dims), tensor, dims)
