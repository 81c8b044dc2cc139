"""Recurrent layers: all cells, several layers, both directions, projections, given states, packed sequences."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.zoo._entry import Entry, tokens

__all__ = ["ENTRIES"]


class Sequences(nn.Module):
    """An embedding, a recurrent layer, a head on its output."""

    def __init__(self, kind: Callable[..., nn.RNNBase], how: str = "", size: int = 5, **options: Any) -> None:
        super().__init__()
        self.how = how
        self.embed = nn.Linear(6, 7)
        self.layer = kind(7, size, **options)
        width = options.get("proj_size", size)
        width *= 2 if options.get("bidirectional") else 1
        self.start, self.head = nn.Linear(6, 5), nn.Linear(width, 4)

    def state(self, x: Tensor) -> Any:
        """None, or made by another layer from the first step."""
        if self.how != "state":
            return None
        first = self.start(x[:, 0]).tanh()[None]
        return (first, first * 0.5) if isinstance(self.layer, nn.LSTM) else first

    def forward(self, x: Tensor) -> Tensor:
        embedded = self.embed(x).relu()
        if not self.layer.batch_first:
            embedded = embedded.transpose(0, 1)
        out, state = self.layer(embedded, self.state(x))
        if self.how == "last":
            last = state[0] if isinstance(state, tuple) else state
            out = last[-1] + last.sum(0)
        result: Tensor = self.head(out)
        return result


class Packed(nn.Module):
    """Sequences of several lengths, read at their ends."""

    def __init__(self, kind: Callable[..., nn.RNNBase], bidirectional: bool) -> None:
        super().__init__()
        self.embed, self.layer = nn.Linear(6, 7), kind(7, 5, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(10 if bidirectional else 5, 4)

    def forward(self, x: Tensor) -> Tensor:
        lengths = torch.arange(x.shape[1], x.shape[1] - x.shape[0], -1)
        packed = pack_padded_sequence(self.embed(x), lengths, batch_first=True)
        out, _ = pad_packed_sequence(self.layer(packed)[0], batch_first=True)
        result: Tensor = self.head(out)
        return result


class Steps(nn.Module):
    """A cell called step by step, with a start that is learned, made or left out."""

    def __init__(self, kind: Callable[..., nn.RNNCellBase], how: str, **options: Any) -> None:
        super().__init__()
        self.how = how
        self.embed, self.cell, self.head = nn.Linear(6, 7), kind(7, 5, **options), nn.Linear(5, 4)
        self.first = nn.Parameter(torch.randn(1, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        state: Any = None
        if self.how == "learned":
            state = self.first.expand(x.shape[0], -1)
            state = (state, state.tanh()) if isinstance(self.cell, nn.LSTMCell) else state
        outs = []
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
            outs.append(state[0] if isinstance(state, tuple) else state)
        out: Tensor = self.head(torch.stack(outs, 1))
        return out


class Decoder(nn.Module):
    """The last state of one network starts another, whose outputs attend to all states of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.encoder = nn.Linear(6, 7), nn.GRU(7, 5, batch_first=True, bidirectional=True)
        self.bridge, self.decoder = nn.Linear(10, 8), nn.GRU(7, 8, batch_first=True)
        self.key, self.head = nn.Linear(10, 8), nn.Linear(18, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        memory, last = self.encoder(x)
        start = self.bridge(torch.cat([last[0], last[1]], -1)).tanh()[None]
        out, _ = self.decoder(x.flip(1), start)
        weights = (out @ self.key(memory).transpose(1, 2)).softmax(-1)
        result: Tensor = self.head(torch.cat([out, weights @ memory], -1))
        return result


class OwnCell(nn.Module):
    """A gated cell written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = 5
        self.gates, self.head = nn.Linear(11, 20), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(x.shape[0], self.hidden)
        for step in x.unbind(1):
            i, f, g, o = self.gates(torch.cat([step, h], 1)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        out: Tensor = self.head(h)
        return out


_IN = tokens(4, 6)
_KINDS: dict[str, tuple[Callable[..., nn.RNNBase], Callable[..., nn.RNNCellBase], dict[str, Any]]] = {
    "lstm": (nn.LSTM, nn.LSTMCell, {}),
    "gru": (nn.GRU, nn.GRUCell, {}),
    "rnn": (nn.RNN, nn.RNNCell, {}),
    "rnn_relu": (nn.RNN, nn.RNNCell, {"nonlinearity": "relu"}),
}
_FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "batch_first": {"batch_first": True},
    "last": {"how": "last", "num_layers": 2},
    "both": {"bidirectional": True},
    "deep": {"num_layers": 3, "bidirectional": True, "bias": False, "batch_first": True, "dropout": 0.5},
    "state": {"how": "state", "batch_first": True},
}


def _entry(build: Callable[[], nn.Module], **facts: Any) -> Entry:
    return Entry(build=build, arguments=_IN, **{"axes": {"embed": 7, "layer.weight_ih_l0": 5}, **facts})


def _all_forms() -> dict[str, Entry]:
    found = {}
    for name, (kind, cell, options) in _KINDS.items():
        for form, more in _FORMS.items():
            axes = {"start": 5} if form == "state" else {"layer.weight_ih_l0": 5}
            build = partial(Sequences, kind, **options, **more)
            found[f"{name}_{form}"] = _entry(build, axes={"embed": 7, **axes})
        for how in ("", "learned"):
            axes = {"embed": 7, "cell.weight_ih": 5}
            found[f"{name}_steps{how and '_'}{how}"] = _entry(partial(Steps, cell, how, **options), axes=axes)
    return found


ENTRIES = {
    **_all_forms(),
    "lstm_projected": _entry(
        lambda: Sequences(nn.LSTM, size=8, proj_size=3),
        axes={"embed": 7, "layer.weight_ih_l0": 8, "layer.weight_hr_l0": 3},
    ),
    "lstm_projected_deep": _entry(
        lambda: Sequences(nn.LSTM, size=8, proj_size=3, num_layers=2, bidirectional=True), axes={"embed": 7}
    ),
    "lstm_packed": _entry(lambda: Packed(nn.LSTM, True)),
    "gru_packed": _entry(lambda: Packed(nn.GRU, False)),
    "encoder_decoder": _entry(Decoder, axes={"embed": 7, "encoder.weight_ih_l0": 5, "bridge": 8}),
    "own_lstm_cell": _entry(OwnCell, axes={"gates": 5}),
}
