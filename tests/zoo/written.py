"""In-place operators and writes, buffers as indices, literal and derived sizes, ways to call and to return."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, image, vector

__all__ = ["ENTRIES"]


class InPlace(nn.Module):
    """Operators that change their argument."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first(x), inplace=True)
        y += self.second(x)
        y.mul_(2.0).sub_(self.second(x).abs_())
        y.clamp_(-3.0, 3.0)
        out: Tensor = self.last(y)
        return out


class Writes(nn.Module):
    """Parts written into a tensor made before."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.split = how, 5
        self.first, self.left, self.right = nn.Linear(6, 8), nn.Linear(6, 5), nn.Linear(6, 3)
        self.hidden, self.last = nn.Linear(8, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        if self.how == "slice":
            y[:, : self.split] = self.left(x)
            y[:, self.split :] += self.right(x)
        elif self.how == "view":
            y[:, : self.split].add_(self.left(x))
        elif self.how == "copy":
            y.copy_(self.first(2 * x))
        elif self.how == "rows":
            y[0] = 0.5
            y[1:] *= 2.0
        else:
            z = torch.zeros_like(y)
            z[:, :5] = self.left(x)
            y = y + z
        out: Tensor = self.last(F.gelu(self.hidden(F.gelu(y))))
        return out


class Table(nn.Module):
    """Relative positions: a table addressed by an index buffer, as in windowed attention."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = 3
        self.table, self.qk = nn.Parameter(torch.zeros(7, 3)), nn.Linear(6, 15)
        self.value, self.out = nn.Linear(6, 12), nn.Linear(12, 4)
        places = torch.arange(4)
        self.register_buffer("index", places[:, None] - places[None] + 3)

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q = self.qk(x).view(b, n, self.heads, -1).transpose(1, 2)
        v = self.value(x).view(b, n, self.heads, -1).transpose(1, 2)
        bias = self.table[self.get_buffer("index").view(-1)].view(n, n, -1).permute(2, 0, 1)
        mixed = (q @ q.transpose(-2, -1) + bias.unsqueeze(0)).softmax(-1) @ v
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class Branching(nn.Module):
    """Code that looks at values."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.first(x))
        if x.abs().sum() > 0:
            y = y + F.gelu(self.second(y))
        out: Tensor = self.last(y)
        return out


class Unused(nn.Module):
    """Parameters that no call reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.spare, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(F.gelu(self.first(x)))
        return out


@dataclass
class Output:
    """What a model returns."""

    logits: Tensor
    hidden: Tensor | None = None


class Returning(nn.Module):
    """Outputs in containers."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.first, self.hidden = nn.Linear(6, 8), nn.Linear(8, 7)
        self.one, self.two = nn.Linear(7, 4), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Any:
        x = F.gelu(self.hidden(F.gelu(self.first(x))))
        if self.how == "tuple":
            return self.one(x), [self.two(x), None]
        if self.how == "dict":
            return {"logits": self.one(x), "more": {"other": self.two(x)}}
        if self.how == "features":
            return {"logits": self.one(x), "features": x}
        return Output(logits=self.one(x), hidden=self.two(x) if self.how == "dataclass" else x)


class Called(nn.Module):
    """Keyword arguments, containers of tensors, plain values and nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 8), nn.Linear(5, 8), nn.Linear(8, 4)

    def forward(
        self, batch: dict[str, Any], *, pair: tuple[Tensor, Tensor], scale: float = 1.0, mask: Tensor | None = None
    ) -> Tensor:
        y = self.first(batch["x"]) * scale + self.second(pair[0] + pair[1])
        if mask is not None:
            y = y.masked_fill(mask, 0.0)
        out: Tensor = self.last(F.gelu(y))
        return out


class Literal(nn.Module):
    """Sizes written in the code."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.first, self.hidden, self.last = nn.Linear(6, 12), nn.Linear(12, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.how == "view":
            x = x.view(-1, 3, 4).softmax(1).view(-1, 12)
        elif self.how == "split":
            one, two = x.split([4, 8], 1)
            x = torch.cat([two, one], 1)
        elif self.how == "split_int":
            one, two, three = x.split(4, 1)
            x = torch.cat([three, one, two], 1)
        elif self.how == "expand":
            x = x * x.mean(1, keepdim=True).expand(-1, 12)
        elif self.how == "pad":
            x = F.pad(x[:, :-2], (1, 1))
        elif self.how == "layer_norm":
            x = F.layer_norm(x, (12,))
        else:
            x = x + torch.ones(x.shape[0], 12, dtype=x.dtype)
        out: Tensor = self.last(F.gelu(self.hidden(F.gelu(x))))
        return out


class Derived(nn.Module):
    """Sizes that the code computes from others."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.width, self.parts = how, 12, 3
        self.first, self.hidden, self.last = nn.Linear(6, 12), nn.Linear(12, 7), nn.Linear(7, 4)
        self.gate = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.how == "parts":
            x = (x.view(-1, self.parts, self.width // self.parts) * self.gate[:, None]).flatten(1)
        elif self.how == "from_tensor":
            x = (x.view(-1, self.parts, x.shape[1] // self.parts) * self.gate[:, None]).flatten(1)
        elif self.how == "halves":
            half = self.width // 2
            x = torch.cat([x[:, half:], x[:, :half]], 1)
        elif self.how == "scale":
            x = x.view(-1, self.width) * self.width**-0.5
        elif self.how == "compared":
            assert x.shape[1] == self.width
        else:
            x = x + torch.ones((x.shape[0], self.width), dtype=x.dtype).sum()
            x = x.view(-1, self.width)
        out: Tensor = self.last(F.gelu(self.hidden(F.gelu(x))))
        return out


class Padded(nn.Module):
    """Channels padded by attributes, then read by a weight or normalised."""

    def __init__(self, *, normed: bool) -> None:
        super().__init__()
        self.normed, self.before, self.after = normed, 1, 3
        self.first, self.hidden, self.last = nn.Linear(6, 8), nn.Linear(12, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(self.first(x), (self.before, self.after), value=0.5)
        if self.normed:
            x = F.layer_norm(x, x.shape[-1:])
        out: Tensor = self.last(F.gelu(self.hidden(x)))
        return out


def called(batch: int) -> tuple[Any, ...]:
    """A dict with a tensor."""
    return ({"x": torch.randn(batch, 6, generator=torch.Generator().manual_seed(0)), "name": "batch"},)


def keywords(batch: int) -> dict[str, Any]:
    """A pair, a number and a mask."""
    generator = torch.Generator().manual_seed(1)
    pair = (torch.randn(batch, 5, generator=generator), torch.randn(batch, 5, generator=generator))
    return {"pair": pair, "scale": 0.5, "mask": torch.rand(batch, 1, generator=generator) > 0.9}


_IN = vector(6)
_HIDDEN = {"hidden": 7}
_BOTH = {"first": 12, "hidden": 7}
_PADDED = {"first": 8, "hidden:hidden.1": 7, "hidden:hidden.2": 4}
_HERE = r"written\.py:\d+"

ENTRIES = {
    "in_place": Entry(build=InPlace, arguments=_IN, axes={"first": 8}),
    **{
        f"write_{how}": Entry(build=partial(Writes, how), arguments=_IN, axes=_HIDDEN)
        for how in ("slice", "view", "copy", "rows", "literal")
    },
    "position_table": Entry(
        build=Table, arguments=image(4, 6), axes={"qk:head": 3, "qk:head_dim": 5, "value": 4}, fixed=(r"table\[0\]",)
    ),
    "data_dependent": Entry(build=Branching, arguments=_IN, axes={"first": 8}),
    "unused": Entry(build=Unused, arguments=_IN, axes={"first": 8}, fixed=(r"spare\.weight\[0\].*not used",)),
    **{
        f"returns_{how}": Entry(build=partial(Returning, how), arguments=_IN, axes={"first": 8, "hidden": 7})
        for how in ("tuple", "dict", "dataclass")
    },
    **{
        f"returns_{how}": Entry(
            build=partial(Returning, how),
            arguments=_IN,
            axes={"first": 8},
            fixed=(r"hidden\.weight\[0\].*output",),
        )
        for how in ("features", "dataclass_features")
    },
    "keywords": Entry(build=Called, arguments=called, keywords=keywords, axes={"first": 8}),
    **{
        f"literal_{how}": Entry(
            build=partial(Literal, how), arguments=_IN, axes=_HIDDEN, fixed=(rf"first\.weight\[0\].*{_HERE}",)
        )
        for how in ("view", "split", "split_int", "expand", "pad", "layer_norm")
    },
    **{
        f"derived_{how}": Entry(build=partial(Derived, how), arguments=_IN, axes=_HIDDEN)
        for how in ("parts", "halves", "scale")
    },
    "derived_nested": Entry(
        build=lambda: Derived("nested"), arguments=_IN, axes=_HIDDEN, zeroing="a sum without weights reads ones"
    ),
    "literal_zeros": Entry(
        build=lambda: Literal("zeros"), arguments=_IN, axes=_HIDDEN, fixed=(rf"first\.weight\[0\].*{_HERE}",)
    ),
    "derived_from_tensor": Entry(
        build=lambda: Derived("from_tensor"), arguments=_IN, axes={"first:hidden.1": 3, "first:hidden.2": 4}
    ),
    "derived_compared": Entry(build=lambda: Derived("compared"), arguments=_IN, axes=_BOTH),
    "pad_attributes": Entry(build=lambda: Padded(normed=False), arguments=_IN, axes=_PADDED),
    "pad_then_norm": Entry(build=lambda: Padded(normed=True), arguments=_IN, axes=_PADDED),
}
