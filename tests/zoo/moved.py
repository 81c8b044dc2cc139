"""Positions that move: steps, rolls, rotations, shuffles, repetitions, writes into parts, patches, resampling."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, image, vector

__all__ = ["ENTRIES"]

Move = Callable[[Any, Tensor], Tensor]


class Row(nn.Module):
    """Units in a row, a move, and layers that read what comes out; sizes are attributes."""

    def __init__(self, move: Move, out: int, units: int = 12, **sizes: int) -> None:
        super().__init__()
        self.move = move
        self.first, self.second = nn.Linear(6, units), nn.Linear(6, units)
        self.hidden, self.last = nn.Linear(out, 7), nn.Linear(7, 4)
        for name, size in sizes.items():
            setattr(self, name, size)

    def other(self) -> Tensor:
        """As many units of another layer."""
        out: Tensor = self.second(self.given)
        return out

    def forward(self, x: Tensor) -> Tensor:
        self.given = x
        out: Tensor = self.last(F.gelu(self.hidden(F.gelu(self.move(self, self.first(x))))))
        return out


class Map(nn.Module):
    """Channels of an image, a move, and layers that read what comes out."""

    def __init__(self, move: Move, out: int, units: int = 12, **parts: Callable[[], Any]) -> None:
        super().__init__()
        self.move = move
        self.first, self.read, self.head = nn.Conv2d(3, units, 1), nn.Conv2d(out, 6, 1), nn.Linear(6, 4)
        for name, part in parts.items():
            setattr(self, name, part())

    def forward(self, x: Tensor) -> Tensor:
        moved = self.move(self, F.gelu(self.first(x)))
        out: Tensor = self.head(F.gelu(self.read(moved.reshape(*moved.shape[:2], -1, 1))).mean((2, 3)))
        return out


def halves(_: Row, x: Tensor) -> Tensor:
    """As in rotary embeddings with interleaved pairs."""
    return x + torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2)


def filled(model: Any, x: Tensor) -> Tensor:
    """An empty tensor, written part by part."""
    out = x.new_empty(x.shape[0], model.width)
    out[:, : model.half] = x
    out[:, model.half :] = model.other()
    return out


def added(_: Any, x: Tensor) -> Tensor:
    """Parts of a tensor changed in place."""
    x = x.clone()
    x[:, 0] += 0.5
    x[:, 1:3] *= 2.0
    return x


def triangle(_: Any, x: Tensor) -> Tensor:
    """Every unit sums over those before it."""
    return (x[:, :, None] * x[:, None, :]).tril().sum(2)


def unpooled(_: Any, x: Tensor) -> Tensor:
    """Pooling, and back to the same places."""
    pooled, places = F.max_pool2d(x, 2, return_indices=True)
    return F.max_unpool2d(pooled, places, [2, 2])


def sampled(_: Any, x: Tensor) -> Tensor:
    """Read along a rotated grid."""
    turn = x.new_tensor([[0.8, -0.6, 0.1], [0.6, 0.8, 0.0]]).expand(x.shape[0], 2, 3)
    return F.grid_sample(x, F.affine_grid(turn, list(x.size()), align_corners=False), align_corners=False)


def patches(_: Any, x: Tensor) -> Tensor:
    """Windows of space, by views."""
    return x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).sum(-1)


def row(move: Move, out: int, axes: dict[str, int], *fixed: str, units: int = 12, **sizes: int) -> Entry:
    """A row of units."""
    build = partial(Row, move, out, units, **sizes)
    return Entry(build=build, arguments=vector(6), axes=axes, fixed=fixed)


def chart(
    move: Move, out: int, axes: dict[str, int], *fixed: str, units: int = 12, **parts: Callable[[], Any]
) -> Entry:
    """A map of channels."""
    build = partial(Map, move, out, units, **parts)
    return Entry(build=build, arguments=image(3, 4, 4), axes={"read": 6, **axes}, fixed=fixed)


_ALL = {"first": 12}
_HERE = r"moved\.py:\d+"

_ROWS = {
    "step": row(lambda _, x: x[:, ::2], 6, {"first": 6}),
    "step_from_one": row(lambda _, x: x[:, 1::2], 6, {"first": 6}),
    "step_odd": row(lambda _, x: x[:, ::3], 4, {"first": 4}, units=11),
    "step_far": row(lambda _, x: x[:, 4::2], 4, {"first": 4}, rf"first\.weight\[0\] \(4 of 12\).*{_HERE}"),
    "step_pairs": row(lambda _, x: torch.cat([x[:, ::2], x[:, 1::2]], 1), 12, {"first": 6}),
    "step_interleaved": row(halves, 12, {"first": 6}),
    "step_attribute": row(lambda m, x: x[:, :: m.step], 4, {"first": 4}, step=3),
    "roll": row(lambda _, x: x.roll(3, 1), 12, {"first": 9}, rf"first\.weight\[0\] \(3 of 12\).*{_HERE}"),
    "roll_back": row(lambda _, x: torch.roll(x, -2, -1), 12, {"first": 10}, rf"first\.weight\[0\].*{_HERE}"),
    "roll_halves": row(lambda _, x: x.roll(x.shape[1] // 2, 1), 12, {"first:hidden.1": 6, "first:hidden.2": 6}),
    "roll_attribute": row(lambda m, x: x.roll(m.shift, 1), 12, _ALL, shift=4),
    "roll_twice": row(lambda _, x: x.roll((1, -1), (1, 1)), 12, {"first": 11}),
    "roll_all": row(lambda _, x: x.roll(1), 12, {"hidden": 7}, r"first\.weight\[0\].*rolled through all dims"),
    "flip_last": row(lambda _, x: x.flip(-1), 12, _ALL),
    "flip_left": row(lambda _, x: x + x.fliplr(), 12, {"first": 6}),
    "turn_once": row(lambda _, x: x[:, :, None].expand(-1, -1, 3).rot90(1, (1, 2)).flatten(1), 36, _ALL),
    "turn_twice": row(lambda _, x: x[:, :, None].expand(-1, -1, 3).rot90(2, (1, 2)).flatten(1), 36, _ALL),
    "turn_thrice": row(lambda _, x: x[:, :, None].expand(-1, -1, 3).rot90(3, (1, 2)).flatten(1), 36, _ALL),
    "turn_back": row(lambda _, x: x[:, :, None].expand(-1, -1, 3).rot90(-1, (2, 1)).flatten(1), 36, _ALL),
    "select_first": row(lambda _, x: x * x[:, 0, None], 12, {"first": 11}, rf"first\.weight\[0\] \(1 of 12\).*{_HERE}"),
    "select_third": row(lambda _, x: x * x[:, 2, None], 12, {"first": 9}, r"first\.weight\[0\] \(3 of 12\)"),
    "select_last": row(lambda _, x: x * x[:, -1, None], 12, {"first": 11}, r"first\.weight\[0\] \(1 of 12\)"),
    "slice_bound": row(lambda _, x: x * x[..., 2:3], 12, {"first": 9}, rf"first\.weight\[0\].*{_HERE}"),
    "parts_equal": row(lambda _, x: torch.cat(x.tensor_split(3, 1)[1:], 1), 8, {"first": 4}),
    "parts_side_by_side": row(lambda _, x: torch.cat(torch.hsplit(x, 2)[::-1], 1), 12, {"first": 6}),
    "parts_at": row(
        lambda m, x: torch.cat(x.tensor_split((m.cut,), 1)[::-1], 1),
        12,
        _ALL,
        cut=5,
    ),
    "parts_literal": row(
        lambda _, x: x.tensor_split((5,), 1)[1], 7, {"first": 7}, rf"first\.weight\[0\] \(5 of 12\).*{_HERE}"
    ),
    "parts_unequal": row(
        lambda _, x: x.tensor_split(5, 1)[0], 3, {"hidden": 7}, r"first\.weight\[0\].*a slice with bounds"
    ),
    "repeat_attribute": row(lambda m, x: x.repeat(1, m.times), 36, {"first": 12, "hidden:hidden.2": 3}, times=3),
    "repeat_literal": row(lambda _, x: x.repeat(1, 3), 36, _ALL),
    "repeat_single": row(lambda m, x: x * x.mean(1, keepdim=True).repeat(1, m.width), 12, _ALL, width=12),
    "tile_attribute": row(lambda m, x: torch.tile(x, (m.times,)), 36, {"first": 12, "hidden:hidden.2": 3}, times=3),
    "triangle": row(triangle, 12, _ALL),
    "diagonal": row(lambda m, x: (x[:, :, None] * m.other()[:, None]).diagonal(dim1=1, dim2=2), 12, _ALL),
    "diagonal_made": row(lambda _, x: torch.diag_embed(x).sum(1), 12, _ALL),
    "scatter_select": row(
        lambda m, x: x.select_scatter(m.other().sum(1), 1, 2), 12, {"first": 9, "second": 12}, r"first\.weight\[0\]"
    ),
    "scatter_slice": row(lambda m, x: x.slice_scatter(m.other(), 1), 12, _ALL),
    "filled_parts": row(filled, 24, {"first": 12, "second": 12}, width=24, half=12),
    "added_parts": row(added, 12, {"first": 9}),
    "zeros_attribute": row(lambda m, x: x + torch.zeros(x.shape[0], m.width, dtype=x.dtype), 12, _ALL, width=12),
    "zeros_beside": row(lambda m, x: torch.cat([x, x.new_full((len(x), m.more), 0.5)], 1), 15, _ALL, more=3),
    "zeros_like_shape": row(lambda _, x: x.new_empty(x.shape).copy_(x), 12, _ALL),
    "broadcast_one": row(
        lambda m, x: torch.broadcast_tensors(x.sum(1, keepdim=True), m.other())[0], 12, {"second": 12}
    ),
    "grid_of_units": row(
        lambda m, x: torch.meshgrid(x[0], m.other()[0], indexing="ij")[0].sum(1)[None], 12, {"first": 12, "second": 12}
    ),
}
_MAPS = {
    "pixel_shuffle": chart(lambda _, x: F.pixel_shuffle(x, 2), 3, {"first": 3}),
    "pixel_unshuffle": chart(lambda _, x: F.pixel_unshuffle(x, 2), 48, _ALL),
    "pixels_there_and_back": chart(lambda _, x: F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2), 12, _ALL),
    "channel_shuffle": chart(
        lambda m, x: m.shuffle(x),
        12,
        {"first:channel.1": 3, "first:channel.2": 4},
        shuffle=partial(nn.ChannelShuffle, 3),
    ),
    "channel_shuffle_literal": chart(lambda _, x: F.channel_shuffle(x, 3), 12, {"first": 4}),
    "patch_columns": chart(lambda _, x: F.unfold(x, 2, stride=2), 48, _ALL),
    "patch_columns_back": chart(lambda _, x: F.fold(F.unfold(x, 3, padding=1), (4, 4), 3, padding=1), 12, _ALL),
    "patch_views": chart(patches, 12, _ALL),
    "unpooled": chart(unpooled, 12, _ALL),
    "grid_sampled": chart(sampled, 12, _ALL),
    "roll_space": chart(lambda _, x: x.roll((1, -1), (2, 3)), 12, _ALL),
    "turn_space": chart(lambda _, x: x.rot90(1, (2, 3)), 12, _ALL),
    **{
        f"pad_{how}": chart(
            lambda m, x: m.pad(x), 5, _ALL, pad=partial(nn.Conv2d, 12, 5, 3, padding=1, padding_mode=how)
        )
        for how in ("circular", "reflect", "replicate")
    },
    **{
        f"resize_{how}": chart(
            lambda m, x: F.interpolate(x, scale_factor=1.5, mode=m.how), 12, _ALL, how=partial(str, how)
        )
        for how in ("nearest", "nearest-exact", "bilinear", "bicubic", "area")
    },
    "adaptive_max": chart(lambda _, x: F.adaptive_max_pool2d(x, (2, 3)), 12, _ALL),
    "norm_pool": chart(lambda _, x: F.lp_pool2d(x, 2.0, 2), 12, _ALL),
}

_SUMMED = replace(_ROWS["grid_of_units"], zeroing="sums over as many units of another layer as there are")

ENTRIES = {**_ROWS, **_MAPS, "grid_of_units": _SUMMED}
