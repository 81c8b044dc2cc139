"""Positions addressed by lists of integers: read, written to, shared, and used in ways that nothing can follow."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, image, vector

__all__ = ["ENTRIES"]

_ORDER = (3, 1, 0, 2, 7, 6, 5, 4)


class Reordered(nn.Module):
    """Units in the order of a buffer, written in several ways."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.first, self.hidden, self.last = nn.Linear(6, 8), nn.Linear(8, 7), nn.Linear(7, 4)
        self.register_buffer("order", torch.tensor(_ORDER))
        self.register_buffer("mask", torch.tensor([True] * 6 + [False] * 2))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(F.gelu(self.hidden(F.gelu(self.reorder(self.first(x))))))
        return out

    def reorder(self, x: Tensor) -> Tensor:
        order: Tensor = self.get_buffer("order")
        match self.how:
            case "index":
                return x[:, order]
            case "last":
                return x[..., order.to(x.device).long()]
            case "select":
                return x.index_select(1, order)
            case "gather":
                return x.gather(1, order.expand(x.shape[0], -1))
            case "along":
                return torch.take_along_dim(x, order[None], dim=1)
            case "fill":
                return x.index_fill(1, order[:], 0.5) * x + x
            case "twice":
                return x[:, order][:, order] + x[:, order]
            case "put":
                written = torch.zeros_like(x)
                written[:, order] = x
                return written
            case "sized_put":
                written = x.new_zeros(x.shape)
                written[:, order] = x
                return written
            case "scatter":
                return torch.zeros_like(x).scatter(1, order.expand_as(x), x)
            case _:
                return self.stuck(x, order)

    def stuck(self, x: Tensor, order: Tensor) -> Tensor:
        match self.how:
            case "computed":
                return x[:, order.flip(0)]
            case "number":
                return x[:, order] * order
            case "elsewhere":
                return x[:, order] + order.sum()
            case "listed":
                return x[:, order.tolist()] + x[:, order]
            case "literal":
                return x[:, [3, 1, 0, 2, 7, 6, 5, 4]]
            case "random":
                torch.manual_seed(0)
                return x[:, torch.randperm(x.shape[1])]
            case "mask":
                return F.pad(x[:, self.get_buffer("mask")], (0, 2))
            case "changed":
                order = order.clone()
                order[0] = 3
                return x[:, order]
            case _:
                return x[:, order.bool().long()]


class Scattered(nn.Module):
    """Few units spread over a wider stream, as a cut branch does."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.width = how, 8
        self.stem, self.branch = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 5, 3, padding=1)
        self.last, self.head = nn.Conv2d(8, 6, 1), nn.Linear(6, 4)
        self.register_buffer("places", torch.tensor([6, 0, 3, 7, 4]))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(x + self.spread(self.branch(x)))
        out: Tensor = self.head(F.relu(self.last(x)).mean((2, 3)))
        return out

    def spread(self, y: Tensor) -> Tensor:
        places: Tensor = self.get_buffer("places")
        shape = list(y.shape)
        shape[1] = self.width
        match self.how:
            case "copy":
                return y.new_zeros(shape).index_copy(1, places, y)
            case "add":
                return torch.zeros(shape, dtype=y.dtype).index_add(1, places, y)
            case "put":
                written = torch.zeros(y.shape[0], self.width, *y.shape[2:], dtype=y.dtype)
                written[:, places] = y
                return written
            case "accumulate":
                return y.new_zeros(shape).scatter_add(1, places[None, :, None, None].expand_as(y), y)
            case "ones":
                return y.new_ones(shape).index_copy(1, places, y)
            case "scatter":
                return y.new_zeros(shape).scatter(1, places[None, :, None, None].expand_as(y), y)
            case _:
                return y.new_zeros(y.shape[0], 8, *y.shape[2:]).index_copy(1, places, y)


class Shared(nn.Module):
    """One list addresses the units of two layers, or dims of different sizes."""

    def __init__(self, *, second: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(6, second)
        self.hidden, self.last = nn.Linear(18, 7), nn.Linear(7, 4)
        self.register_buffer("some", torch.tensor([1, 5, 2, 7, 0]))

    def forward(self, x: Tensor) -> Tensor:
        some = self.get_buffer("some")
        y = torch.cat([self.first(x)[:, some], self.second(x)[:, some], self.first(x)], 1)
        out: Tensor = self.last(F.gelu(self.hidden(F.gelu(y))))
        return out


class Nothing(nn.Module):
    """Rows chosen by their values, and none is found."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.first(x))
        rows = (x[:, 0] > 1e9).nonzero()[:, 0]
        y[rows] = 2 * y[rows]
        out: Tensor = self.last(y)
        return out


_IN = vector(6)
_BOTH = {"first": 8, "hidden": 7}
_HERE = r"indexed\.py:\d+"
_STUCK = ("computed", "number", "elsewhere", "listed", "literal", "random", "mask", "cast")
_STREAM = {"stem": 8, "branch:branch": 5, "last": 6}

ENTRIES = {
    "index_nothing": Entry(build=Nothing, arguments=vector(6), axes={"first": 8}),
    **{
        f"reorder_{how}": Entry(build=partial(Reordered, how), arguments=_IN, axes=_BOTH)
        for how in ("index", "last", "select", "gather", "along", "fill", "put", "sized_put", "scatter")
    },
    **{
        f"reorder_{how}": Entry(
            build=partial(Reordered, how), arguments=_IN, axes={"hidden": 7}, fixed=(rf"first\.weight\[0\].*{_HERE}",)
        )
        for how in _STUCK
    },
    **{
        f"scatter_{how}": Entry(build=partial(Scattered, how), arguments=image(3, 5, 5), axes=_STREAM)
        for how in ("copy", "add", "put", "accumulate", "ones", "scatter")
    },
    # A position and the one that it lands on go together, over all cycles of the order.
    "reorder_twice": Entry(build=partial(Reordered, "twice"), arguments=_IN, axes={"first": 4, "hidden": 7}),
    "scatter_literal": Entry(
        build=lambda: Scattered("literal"), arguments=image(3, 5, 5), axes={"last": 6}, fixed=(rf"stem.*{_HERE}",)
    ),
    "index_two_layers": Entry(build=lambda: Shared(second=8), arguments=_IN, axes={"hidden": 7}),
    "reorder_changed": Entry(
        build=partial(Reordered, "changed"), arguments=_IN, axes={"hidden": 7}, fixed=(r"first\.weight\[0\]",)
    ),
    "index_two_sizes": Entry(
        build=lambda: Shared(second=9), arguments=_IN, axes={"hidden": 7}, fixed=(r"first\.weight\[0\].*another size",)
    ),
}
