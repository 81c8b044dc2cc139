"""What other pruners silently break, or fail on: here it is cut and proved right, or refused with a reason."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.graph import Graph, trace
from secateurs.surgery import relative_error
from tests.surgery._proof import LARGEST_ERROR, assert_equal_masked, cut, outputs, randomised, third, zeroed

Move = Callable[[Any, Tensor], Tensor]


class Peer(nn.Module):
    """Two convolutions, a move between them, and a head."""

    def __init__(self, move: Move, **parts: Any) -> None:
        super().__init__()
        self.move = move
        self.first, self.norm = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        for name, part in parts.items():
            if isinstance(part, Tensor) and name != "plain":
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)
        with torch.no_grad():
            moved = move(self, torch.zeros(1, 16, 4, 4))
        self.second = nn.Conv2d(moved.shape[1], 6, 1) if moved.dim() == 4 else nn.Linear(moved.shape[1], 6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.second(self.move(self, F.relu(self.norm(self.first(x))))))
        out: Tensor = self.head(x.flatten(2).mean(2) if x.dim() == 4 else x)
        return out


def hand_shuffle(_: Any, x: Tensor) -> Tensor:
    """Channel shuffle as most networks write it."""
    b, c, h, w = x.shape
    return x.view(b, 4, c // 4, h, w).transpose(1, 2).reshape(b, c, h, w)


def repeat_interleaved(_: Any, x: Tensor) -> Tensor:
    """Every channel twice in a row."""
    return x.repeat_interleave(2, dim=1)


_ORDER = torch.randperm(16, generator=torch.Generator().manual_seed(0))

CUT: dict[str, tuple[Move, dict[str, Any], int]] = {
    "channel_shuffle": (lambda _, x: F.channel_shuffle(x, 4), {}, 4),
    "channel_shuffle_by_views": (hand_shuffle, {}, 4),
    "channel_shuffle_module": (lambda m, x: m.shuffle(x), {"shuffle": nn.ChannelShuffle(4)}, 8),
    "flip": (lambda _, x: x.flip(1), {}, 16),
    "roll": (lambda _, x: x.roll(3, 1), {}, 13),
    "roll_over_space": (lambda _, x: x.roll(3, 2), {}, 16),
    "channels_last_flatten": (lambda _, x: x.permute(0, 2, 3, 1).flatten(1), {}, 16),
    "every_other": (lambda _, x: x[:, ::2], {}, 8),
    "pixel_shuffle": (lambda _, x: F.pixel_shuffle(x, 2), {}, 4),
    "pixel_unshuffle": (lambda _, x: F.pixel_unshuffle(x, 2), {}, 16),
    "repeat": (lambda _, x: x.repeat(1, 2, 1, 1), {}, 16),
    "repeat_interleave": (repeat_interleaved, {}, 16),
    "permuted_by_buffer": (lambda m, x: x[:, m.order], {"order": _ORDER}, 16),
    "permuted_by_index_select": (lambda m, x: x.index_select(1, m.order), {"order": _ORDER}, 16),
    "unfold": (lambda _, x: F.unfold(x, 2, stride=2).sum(2), {}, 16),
    "buffer_per_channel": (lambda m, x: x * m.scale[:, None, None], {"scale": torch.linspace(0.5, 1.5, 16)}, 16),
    "constant_per_channel": (lambda m, x: x * m.plain.view(1, -1, 1, 1), {"plain": torch.linspace(0.5, 1.5, 16)}, 16),
    "swapped_split": (lambda _, x: torch.cat(x.split(x.shape[1] // 2, 1)[::-1], 1), {}, 16),
    "swapped_chunk": (lambda _, x: torch.cat(x.chunk(2, 1)[::-1], 1), {}, 8),
    "chunk_product": (lambda _, x: x.chunk(2, 1)[0] * x.chunk(2, 1)[1], {}, 8),
    "stacked": (lambda _, x: torch.stack([x, x.tanh()], 1).flatten(1, 2), {}, 16),
}
"""Move, parts of the model that it uses, and how many units of the first layer may go at least."""

REFUSED: dict[str, tuple[Move, str]] = {
    "static_reshape": (
        lambda _, x: x.reshape(x.shape[0], 16, -1).softmax(2).sum(2),
        r"size 16 is written in the code at .*test_peer_defects\.py:\d+ \(reshape\)",
    ),
    "static_split": (
        lambda _, x: torch.cat(x.split([6, 10], 1)[::-1], 1),
        r"size \d+ is written in the code at .*test_peer_defects\.py:\d+ \(split\)",
    ),
    "permuted_by_a_list": (lambda _, x: x[:, list(range(15, -1, -1))], r"indexed at .*test_peer_defects\.py:\d+"),
    "constant_made_in_the_call": (
        lambda _, x: x * torch.linspace(0.5, 1.5, 16, dtype=x.dtype).view(16, 1, 1),
        r"cannot be cut \(aten\.mul\)|written in the code at .*test_peer_defects\.py:\d+",
    ),
}
"""Move, and why the first layer's units stay."""


def traced(move: Move, parts: dict[str, Any]) -> Graph:
    """On random weights."""
    model = randomised(lambda: Peer(move, **parts))
    return trace(model, torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("name", CUT)
def test_what_others_break_is_cut_and_right(name: str) -> None:
    move, parts, units = CUT[name]
    graph = traced(move, parts)
    own = [axis for axis in graph.axes if axis.name.startswith("first") and axis.kind != "branch"]
    assert sum(axis.size for axis in own) >= min(units, 7), str(graph)
    plan = graph.plan(third(graph))
    smaller = cut(graph.model, plan)
    assert smaller.get_parameter("first.weight").shape[0] < 16
    for batch in (2, 3):
        x = torch.randn(batch, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(batch))
        assert_equal_masked(graph.model, smaller, plan, ((x,), {}))
    call: Any = (graph.args, {})
    assert relative_error(outputs(zeroed(graph.model, plan), call), outputs(smaller, call)) < LARGEST_ERROR


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_follow_is_refused_with_the_reason(name: str) -> None:
    move, reason = REFUSED[name]
    graph = traced(move, {})
    found = [entry.why for entry in graph.fixed if (entry.path, entry.dim) == ("first.weight", 0)]
    assert any(re.search(reason, why) for why in found), found
    assert not [axis for axis in graph.axes if axis.name == "first" and axis.kind != "branch"]
