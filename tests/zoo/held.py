"""Tensors that modules hold without saying so: constants per unit, lists of integers, weights, old results."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, vector

__all__ = ["ENTRIES"]


class Held(nn.Module):
    """Plain attributes and unusual buffers, one per unit of a layer."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.first, self.hidden, self.last = nn.Linear(6, 8), nn.Linear(8, 7), nn.Linear(7, 4)
        match how:
            case "scale" | "lower":
                self.scale = torch.linspace(0.5, 1.5, 8)
            case "weight":
                self.matrix = torch.linspace(-1.0, 1.0, 64).reshape(8, 8)
            case "order":
                self.order = torch.tensor([3, 1, 0, 2, 7, 6, 5, 4])
            case "alias":
                self.register_buffer("scale", torch.linspace(0.5, 1.5, 8))
                self.again = self.get_buffer("scale")
            case "shared":
                self.scale = torch.linspace(0.5, 1.5, 8)
                self.hidden.scale = self.scale
            case "old_result":
                self.result = torch.ones(2, 8)
            case "counter":
                self.calls = torch.zeros(())
            case "mask":
                self.register_buffer("mask", torch.tensor([True, False] * 4))
            case "whole_numbers":
                self.register_buffer("times", torch.arange(1, 9))
            case _:
                self.register_buffer("picture", torch.linspace(0.5, 1.5, 8)[:, None])

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(F.gelu(self.hidden(self.use(F.gelu(self.first(x))))))
        return out

    def use(self, x: Tensor) -> Tensor:
        match self.how:
            case "scale":
                return x * self.scale
            case "lower":
                return x * self.scale.clamp(max=1.0).to(x.dtype)[None]
            case "weight":
                return F.linear(x, self.matrix)
            case "order":
                return x[:, self.order]
            case "alias":
                return x * self.again + self.get_buffer("scale")
            case "shared":
                return x * self.scale + torch.as_tensor(self.hidden.scale)
            case "old_result":
                self.result = x
                return x
            case "counter":
                self.calls += 1
                return x * self.calls.clamp(max=1.0)
            case "mask":
                return x.masked_fill(self.get_buffer("mask"), 0.5)
            case "whole_numbers":
                return x * self.get_buffer("times")
            case _:
                return x + self.get_buffer("picture")[:, 0]


_BOTH = {"first": 8, "hidden": 7}

_HOW = ("scale", "lower", "order", "alias", "shared", "old_result", "counter", "mask", "whole_numbers", "picture")

ENTRIES = {
    **{f"held_{how}": Entry(build=partial(Held, how), arguments=vector(6), axes=_BOTH) for how in _HOW},
    "held_weight": Entry(build=partial(Held, "weight"), arguments=vector(6), axes={"first": 8, "matrix": 8}),
}
