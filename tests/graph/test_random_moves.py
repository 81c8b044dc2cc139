"""Programs that move units around at random: whatever may be cut is right, by both oracles."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.graph import trace
from secateurs.surgery import masked, relative_error
from tests.surgery._proof import LARGEST_ERROR, SMALLEST_REACTION, cut, outputs, randomised, third, zeroed

Step = Callable[["Program", Tensor], Tensor]
PROGRAMS = 60
LENGTH = 4
WIDEST = 48


class Program(nn.Module):
    """Units of two layers, a few moves with activations between them, and a layer that reads what comes out."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = random.Random(seed)
        self.first, self.second = nn.Linear(5, rng.choice((8, 12))), nn.Linear(5, rng.choice((6, 12)))
        self.given = torch.zeros(2, 5)
        width, self.steps, self.names = self.first.out_features, [], []
        for place in range(LENGTH):
            name = rng.choice(list(MOVES))
            step = MOVES[name](self, rng, width, place)
            moved = None if step is None else step(self, torch.zeros(2, width)).shape[1]
            if step is not None and moved is not None and 2 <= moved <= WIDEST:
                self.steps.append(step)
                self.names.append(name)
                width = moved
        self.last, self.head = nn.Linear(width, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.given = x
        y = self.first(x)
        for step in self.steps:
            # Zero at zero, as the second oracle wants where sums without weights read units.
            y = torch.sin(step(self, y))
        out: Tensor = self.head(F.gelu(self.last(y)))
        return out


Make = Callable[[Program, random.Random, int, int], Step | None]


def order(model: Program, rng: random.Random, width: int, place: int) -> Step:
    """By a buffer, whole or a part of it."""
    chosen = rng.sample(range(width), rng.choice((width, max(2, width // 2))))
    model.register_buffer(f"order{place}", torch.tensor(chosen))
    return lambda m, x: x[:, m.get_buffer(f"order{place}")]


def spread(model: Program, rng: random.Random, width: int, place: int) -> Step:
    """Written into zeros at places that are a buffer."""
    wide = width + rng.choice((0, 2))
    model.register_buffer(f"places{place}", torch.tensor(rng.sample(range(wide), width)))
    setattr(model, f"wide{place}", wide)
    return lambda m, x: x.new_zeros(x.shape[0], getattr(m, f"wide{place}")).index_copy(
        1, m.get_buffer(f"places{place}"), x
    )


def roll(_: Program, rng: random.Random, width: int, __: int) -> Step:
    """By a number."""
    shift = rng.choice((1, 2, -1, -3))
    return lambda _, x: x.roll(shift, 1)


def strides(_: Program, rng: random.Random, width: int, __: int) -> Step:
    """Every so many, from one of the first."""
    step = rng.choice((2, 3))
    start = rng.randrange(step)
    return lambda _, x: x[:, start::step]


def shuffle(_: Program, rng: random.Random, width: int, __: int) -> Step | None:
    """A grid turned."""
    groups = rng.choice((2, 3))
    if width % groups:
        return None
    return lambda _, x: x.view(x.shape[0], groups, -1).transpose(1, 2).flatten(1)


def swap(_: Program, rng: random.Random, width: int, __: int) -> Step | None:
    """Equal parts in another order."""
    parts = rng.choice((2, 3, 4))
    return None if width % parts else lambda _, x: torch.cat(x.chunk(parts, 1)[::-1], 1)


def bounds(_: Program, rng: random.Random, width: int, __: int) -> Step:
    """A slice by numbers."""
    start, stop = rng.randrange(width // 2), rng.randrange(width // 2, width) + 1
    return lambda _, x: x[:, start:stop]


def beside(_: Program, rng: random.Random, __: int, ___: int) -> Step:
    """Units of the other layer before or after."""
    if rng.random() < 0.5:
        return lambda m, x: torch.cat([m.second(m.given), x], 1)
    return lambda m, x: torch.cat([x, m.second(m.given)], 1)


def written(_: Program, rng: random.Random, width: int, __: int) -> Step:
    """A slice changed in place."""
    start = rng.randrange(width - 1)

    def step(_: Program, x: Tensor) -> Tensor:
        x = x.clone()
        x[:, start:] *= 2.0
        x[:, 0] += x[:, -1]
        return x

    return step


MOVES: dict[str, Make] = {
    "order": order,
    "spread": spread,
    "roll": roll,
    "strides": strides,
    "shuffle": shuffle,
    "swap": swap,
    "bounds": bounds,
    "written": written,
    "flip": lambda *_: lambda _, x: x + x.flip(1),
    "reversed": lambda *_: lambda _, x: x.flip(1),
    "repeat": lambda *_: lambda _, x: x.repeat(1, 2),
    "interleave": lambda *_: lambda _, x: x.repeat_interleave(2, 1),
    "stack": lambda *_: lambda _, x: torch.stack([x, x.tanh()], 2).flatten(1),
    "pad": lambda *_: lambda _, x: F.pad(x, (1, 2), value=0.5),
    "triangle": lambda *_: lambda _, x: (x[:, :, None] * x[:, None]).tril().sum(2),
    "one": lambda *_: lambda _, x: x * x[:, 1, None],
}


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_a_random_program_is_cut_right(seed: int) -> None:
    model = randomised(partial(Program, seed), seed=seed)
    assert isinstance(model, Program)
    x = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    call: tuple[Any, Any] = ((x,), {})
    graph = trace(model, (x,))
    for names in ([axis.name for axis in graph.axes], *([axis.name] for axis in graph.axes)):
        plan = graph.plan(third(graph, names))
        smaller = cut(model, plan)
        with masked(model, plan) as as_if_cut:
            expected = outputs(as_if_cut, call)
        assert relative_error(expected, outputs(smaller, call)) < LARGEST_ERROR, model.names
    exact = [axis.name for axis in graph.axes if axis.exact]
    plan = graph.plan(third(graph, exact))
    error = relative_error(outputs(zeroed(model, plan), call), outputs(cut(model, plan), call))
    assert error < LARGEST_ERROR, model.names


def test_random_programs_can_be_cut() -> None:
    """Most of them, and the cuts show."""
    reacted = 0
    for seed in range(PROGRAMS):
        model = randomised(partial(Program, seed), seed=seed)
        x = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        graph = trace(model, (x,))
        own = [axis.name for axis in graph.axes if not axis.name.startswith("last")]
        smaller = cut(model, graph.plan(third(graph, own)))
        reacted += relative_error(outputs(model, ((x,), {})), outputs(smaller, ((x,), {}))) > SMALLEST_REACTION
    assert reacted > PROGRAMS // 2
