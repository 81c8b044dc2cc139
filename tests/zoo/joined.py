"""Streams that meet: residuals, concatenations, gates, splits, norms over channels, flattening."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, image

__all__ = ["ENTRIES"]


class Residual(nn.Module):
    """Two blocks, the second with a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a1, self.a2 = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 7, 3, padding=1), nn.Conv2d(7, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.b1, self.b2, self.project = nn.Conv2d(6, 9, 1), nn.Conv2d(9, 8, 1), nn.Conv2d(6, 8, 1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(x + self.norm(self.a2(F.relu(self.a1(x)))))
        x = F.relu(self.project(x) + self.b2(F.relu(self.b1(x))))
        out: Tensor = self.head(x.mean((2, 3)))
        return out


class PreActivation(nn.Module):
    """The norm comes first, on the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(6), nn.BatchNorm2d(6), nn.BatchNorm2d(6)])
        self.inner = nn.ModuleList([nn.Conv2d(6, 7, 1), nn.Conv2d(6, 5, 1)])
        self.outer = nn.ModuleList([nn.Conv2d(7, 6, 1), nn.Conv2d(5, 6, 1)])
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, inner, outer in zip(self.norms, self.inner, self.outer, strict=False):
            x = outer(F.relu(inner(F.relu(norm(x))))) + x
        out: Tensor = self.head(F.relu(self.norms[2](x)).mean((2, 3)))
        return out


class PadShortcut(nn.Module):
    """A shortcut padded with channels of zeros, their number attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 10, 1), nn.Linear(10, 4)
        self.before, self.after = 2, 2

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(self.block(x) + F.pad(x, (0, 0, 0, 0, self.before, self.after)))
        out: Tensor = self.head(x.mean((2, 3)))
        return out


class CatShortcut(nn.Module):
    """The same shortcut, zeros made from the stream and concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 12, 1), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(self.block(x) + torch.cat([x, torch.zeros_like(x)], 1))
        out: Tensor = self.head(x.mean((2, 3)))
        return out


class Dense(nn.Module):
    """Every layer reads all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 1)
        self.layers = nn.ModuleList([nn.Conv2d(5 + 3 * i, 3, 1) for i in range(3)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(5 + 3 * i) for i in range(3)])
        self.down, self.head = nn.Conv2d(14, 6, 1), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = torch.cat([x, layer(F.relu(norm(x)))], 1)
        out: Tensor = self.head(F.relu(self.down(x)).mean((2, 3)))
        return out


class Branches(nn.Module):
    """Inception: branches side by side, one of them only pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 1)
        self.one, self.three = nn.Conv2d(6, 4, 1), nn.Conv2d(6, 5, 3, padding=1)
        self.mix, self.head = nn.Conv2d(15, 6, 1), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        parts = [F.relu(self.one(x)), F.relu(self.three(x)), F.max_pool2d(x, 3, 1, 1)]
        out: Tensor = self.head((F.relu(self.mix(torch.cat(parts, 1)))).mean((2, 3)))
        return out


class Normalised(nn.Module):
    """A norm between two convolutions."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.first, self.norm, self.second, self.head = nn.Conv2d(3, 12, 3), norm, nn.Conv2d(12, 6, 1), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(F.relu(self.second(F.relu(self.norm(self.first(x))))).mean((2, 3)))
        return out


class Excite(nn.Module):
    """Squeeze and excite, pooled channels through a bottleneck."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.squeeze, self.excite = nn.Conv2d(3, 8, 1), nn.Linear(8, 3), nn.Linear(3, 8)
        self.last, self.head = nn.Conv2d(8, 6, 1), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.stem(x))
        b, c, _, _ = x.size()
        scale = F.adaptive_avg_pool2d(x, 1).view(b, c)
        scale = torch.sigmoid(self.excite(F.gelu(self.squeeze(scale)))).view(b, c, 1, 1)
        out: Tensor = self.head(F.relu(self.last(x * scale.expand_as(x))).mean((2, 3)))
        return out


class Gated(nn.Module):
    """One half of the channels gates the other; written in several ways."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.size = how, 6
        self.first, self.second, self.head = nn.Conv2d(3, 12, 1), nn.Conv2d(6, 5, 1), nn.Linear(5, 4)

    def halves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.how == "chunk":
            one, two = x.chunk(2, dim=1)
        elif self.how == "split":
            one, two = x.split([self.size, self.size], dim=1)
        elif self.how == "split_half":
            one, two = torch.split(x, x.shape[1] // 2, dim=1)
        elif self.how == "slices":
            one, two = x[:, : self.size], x[:, self.size :]
        elif self.how == "narrow":
            one, two = x.narrow(1, 0, self.size), x.narrow(1, self.size, self.size)
        elif self.how == "view":
            one, two = x.unflatten(1, (2, -1)).unbind(1)
        else:
            one, two = x[:, :6], x[:, 6:]
        return one, two

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.how == "glu":
            x = F.glu(x, 1)
        else:
            one, two = self.halves(x)
            x = one * torch.sigmoid(two)
        out: Tensor = self.head(F.relu(self.second(x)).mean((2, 3)))
        return out


class UnequalSplit(nn.Module):
    """Parts of unequal size, from attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = (5, 7)
        self.first, self.left, self.right = nn.Conv2d(3, 12, 1), nn.Conv2d(5, 6, 1), nn.Conv2d(7, 6, 1)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.first(x).split(self.sizes, dim=1)
        out: Tensor = self.head(F.relu(self.left(left) * self.right(right)).mean((2, 3)))
        return out


class Swapped(nn.Module):
    """Halves swapped and concatenated again."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 6, 1), nn.Linear(6, 4)
        self.other = nn.Conv2d(3, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.first(x).chunk(2, 1)
        x = torch.cat([right, left], 1) + self.other(x)
        out: Tensor = self.head(F.relu(self.second(F.relu(x))).mean((2, 3)))
        return out


class Flat(nn.Module):
    """Images flattened into a Linear, channels first or last."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.first, self.hidden, self.head = nn.Conv2d(3, 6, 3), nn.Linear(6 * 4, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(x)), 3)
        if self.how == "view":
            x = x.view(x.size(0), -1)
        elif self.how == "flatten":
            x = torch.flatten(x, 1)
        elif self.how == "last":
            x = x.permute(0, 2, 3, 1).reshape(x.shape[0], -1)
        elif self.how == "product":
            x = x.reshape(x.shape[0], x.shape[1] * x.shape[2] * x.shape[3])
        else:
            x = x.view(-1, 24)
        out: Tensor = self.head(F.relu(self.hidden(x)))
        return out


class Unit(nn.Module):
    """Features divided by their norm over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 5, 1), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.normalize(F.relu(self.first(x)) + 1, dim=1)
        out: Tensor = self.head(F.relu(self.second(x)).mean((2, 3)))
        return out


class SpatialGate(nn.Module):
    """A map computed over channels, expanded to all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate = nn.Conv2d(3, 6, 1), nn.Conv2d(2, 1, 3, padding=1)
        self.second, self.head = nn.Conv2d(6, 5, 1), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        gate = torch.sigmoid(self.gate(torch.cat([x.mean(1, keepdim=True), x.std(1, keepdim=True)], 1)))
        out: Tensor = self.head(F.relu(self.second(x * gate.expand(-1, x.shape[1], -1, -1))).mean((2, 3)))
        return out


_IN = image(3, 8, 8)
_GATED = {"second": 5}

ENTRIES = {
    "residual": Entry(build=Residual, arguments=_IN, axes={"stem": 6, "a1": 7, "b1": 9, "project": 8}),
    "pre_activation": Entry(build=PreActivation, arguments=_IN, axes={"stem": 6, "inner.0": 7, "inner.1": 5}),
    "pad_shortcut": Entry(build=PadShortcut, arguments=_IN, axes={"stem": 6, "block": 4}),
    "cat_shortcut": Entry(build=CatShortcut, arguments=_IN, axes={"stem": 6}),
    "dense_concatenation": Entry(
        build=Dense, arguments=_IN, axes={"stem": 5, "layers.0": 3, "layers.1": 3, "layers.2": 3, "down": 6}
    ),
    "branches": Entry(build=Branches, arguments=_IN, axes={"stem": 6, "one": 4, "three": 5, "mix": 6}),
    "group_norm_one": Entry(build=lambda: Normalised(nn.GroupNorm(1, 12)), arguments=_IN, axes={"first": 12}),
    "group_norm_some": Entry(
        build=lambda: Normalised(nn.GroupNorm(3, 12)), arguments=_IN, axes={"first:group": 3, "first:channel": 4}
    ),
    "group_norm_all": Entry(build=lambda: Normalised(nn.GroupNorm(12, 12)), arguments=_IN, axes={"first": 12}),
    "instance_norm": Entry(
        build=lambda: Normalised(nn.InstanceNorm2d(12, affine=True)), arguments=_IN, axes={"first": 12}
    ),
    "instance_norm_plain": Entry(build=lambda: Normalised(nn.InstanceNorm2d(12)), arguments=_IN, axes={"first": 12}),
    "squeeze_excite": Entry(build=Excite, arguments=_IN, axes={"stem": 8, "squeeze": 3, "last": 6}),
    **{
        f"gate_{how}": Entry(build=partial(Gated, how), arguments=_IN, axes={"first": 6, **_GATED})
        for how in ("chunk", "glu", "split", "split_half", "slices", "narrow", "view")
    },
    "gate_literal": Entry(
        build=lambda: Gated("literal"), arguments=_IN, axes=_GATED, fixed=(r"first\.weight\[0\].*joined\.py:\d+",)
    ),
    "unequal_split": Entry(build=UnequalSplit, arguments=_IN, axes={"first:channel.1": 5, "first:channel.2": 7}),
    "swapped_halves": Entry(build=Swapped, arguments=_IN, axes={"first": 4, "second": 6}),
    **{
        f"flatten_{how}": Entry(build=partial(Flat, how), arguments=_IN, axes={"first": 6, "hidden": 7})
        for how in ("view", "flatten", "last", "product")
    },
    "flatten_literal": Entry(
        build=lambda: Flat("literal"), arguments=_IN, axes={"hidden": 7}, fixed=(r"first\.weight\[0\].*joined\.py:\d+",)
    ),
    "unit_features": Entry(build=Unit, arguments=_IN, axes={"first": 6, "second": 5}),
    "spatial_gate": Entry(build=SpatialGate, arguments=_IN, axes={"first": 6, "second": 5}),
}
