"""Norms, gates and statistics over channels, as torch has them and as people write them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, image, vector

__all__ = ["ENTRIES"]


class Between(nn.Module):
    """Something between two convolutions: [B, 8, H, W] in, [B, any, H, W] out."""

    def __init__(self, middle: nn.Module, width: int = 8) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Conv2d(3, 8, 3, padding=1), middle, nn.Conv2d(width, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.middle(self.first(x)))
        return out


class Function(nn.Module):
    """A function of a feature map with a scale and a shift per channel."""

    def __init__(self, function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.scale, self.shift = nn.Parameter(torch.ones(8)), nn.Parameter(torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.scale, self.shift)


class Frozen(nn.Module):
    """Batch norm whose statistics and scales are buffers."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("weight", "bias", "mean"):
            self.register_buffer(name, torch.zeros(8))
        self.register_buffer("var", torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.get_buffer("weight").reshape(1, -1, 1, 1) * (self.get_buffer("var") + 1e-5).rsqrt()[:, None, None]
        return x * scale + (self.get_buffer("bias") - self.get_buffer("mean"))[None, :, None, None]


class ChannelsLast(nn.Module):
    """A layer norm over channels by turning the map around."""

    def __init__(self, by_hand: bool) -> None:
        super().__init__()
        self.by_hand, self.norm = by_hand, nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        if not self.by_hand:
            out: Tensor = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            return out
        mean = x.mean(1, keepdim=True)
        spread = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(spread + 1e-6)
        return self.norm.weight[:, None, None] * x + self.norm.bias[:, None, None]


class Excite(nn.Module):
    """A gate per channel from the mean of every channel."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.down, self.up = nn.Conv2d(8, 5, 1), nn.Conv2d(5, 8, 1)
        self.across, self.spatial = nn.Conv1d(1, 1, 3, padding=1), nn.Conv2d(2, 1, 3, padding=1)
        self.norm = nn.GroupNorm(1, 5)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "across":
            gate = self.across(x.mean((2, 3))[:, None])[:, 0]
            scaled: Tensor = x * gate.sigmoid()[:, :, None, None]
            return scaled
        if self.how == "spatial":
            gate = self.spatial(torch.cat([x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]], 1))
            gated: Tensor = x * gate.sigmoid()
            return gated
        if self.how == "context":
            weights = x.mean(1, keepdim=True).flatten(2).softmax(-1)
            context = (x.flatten(2) @ weights.transpose(1, 2))[..., None]
            out: Tensor = x + self.up(F.relu(self.norm(self.down(context))))
            return out
        pooled = torch.cat([F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)], 3)
        total: Tensor = x * self.up(F.silu(self.down(pooled))).sum(3, keepdim=True).sigmoid()
        return total


class Response(nn.Module):
    """Global response norm: every channel's norm against the mean of all."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.zeros(1, 1, 1, 8)), nn.Parameter(torch.zeros(1, 1, 1, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        size = torch.norm(x, p=2, dim=(1, 2), keepdim=True)
        x = x + self.gamma * (x * (size / (size.mean(dim=-1, keepdim=True) + 1e-6))) + self.beta
        return x.permute(0, 3, 1, 2)


class Competing(nn.Module):
    """Channels in fixed groups that compete: maxout, and a selection between branches."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.pieces = how, 2
        self.one, self.two = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.down, self.up = nn.Conv2d(8, 5, 1), nn.Conv2d(5, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "maxout":
            result: Tensor = x.unflatten(1, (-1, self.pieces)).amax(2)
            return result
        if self.how == "halves":
            one, two = x.chunk(2, 1)
            return torch.maximum(one, two)
        branches = torch.stack([self.one(x), self.two(x)], 1)
        weights = self.up(F.relu(self.down(branches.sum(1).mean((2, 3), keepdim=True))))
        weights = weights.view(x.shape[0], 2, -1, 1, 1).softmax(1)
        other: Tensor = (branches * weights).sum(1)
        return other


class Rows(nn.Module):
    """Norms of vectors by hand."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.first, self.last = how, nn.Linear(6, 9), nn.Linear(9, 4)
        self.scale, self.center = nn.Parameter(torch.ones(9)), nn.Parameter(torch.randn(4, 9))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.how == "rsqrt_square":
            x = x * torch.rsqrt(torch.mean(x * x, -1, keepdim=True) + 1e-6) * (1 + self.scale)
        elif self.how == "float":
            wide = x.to(torch.float32).to(x.dtype) * 0 + x
            variance = wide.square().mean(-1, keepdim=True)
            x = self.scale * (wide * torch.rsqrt(variance + 1e-5)).type_as(x)
        elif self.how == "norm":
            x = x / (x.norm(2, dim=-1, keepdim=True) * x.shape[-1] ** -0.5 + 1e-8) * self.scale
        elif self.how == "einsum":
            x = x / torch.einsum("bi,bi->b", x, x).sqrt()[:, None]
        elif self.how == "cosine":
            return F.cosine_similarity(x[:, None], self.center, dim=-1)
        elif self.how == "angles":
            return F.linear(F.normalize(x), F.normalize(self.center))
        elif self.how == "distances":
            return torch.cdist(x, self.center)
        elif self.how == "pairwise":
            return F.pairwise_distance(x[:, None], self.center, eps=0.0)
        elif self.how == "squares":
            return -((x[:, None] - self.center) ** 2).sum(-1)
        else:
            x = x.std(-1, keepdim=True) + (x - x.mean(-1, keepdim=True)) * self.scale
        out: Tensor = self.last(x)
        return out


_IMAGE = image(3, 6, 6)
_MODULES: dict[str, Callable[[], nn.Module]] = {
    "batch_plain": lambda: nn.BatchNorm2d(8, affine=False),
    "batch_untracked": lambda: nn.BatchNorm2d(8, track_running_stats=False),
    "batch_bare": lambda: nn.BatchNorm2d(8, affine=False, track_running_stats=False),
    "sync_batch": lambda: nn.SyncBatchNorm(8),
    "instance": lambda: nn.InstanceNorm2d(8),
    "instance_affine": lambda: nn.InstanceNorm2d(8, affine=True),
    "instance_tracked": lambda: nn.InstanceNorm2d(8, affine=True, track_running_stats=True),
    "group_one": lambda: nn.GroupNorm(1, 8),
    "group_each": lambda: nn.GroupNorm(8, 8),
    "frozen": Frozen,
    "layer_turned": lambda: ChannelsLast(False),
    "layer_by_hand": lambda: ChannelsLast(True),
    "prelu": lambda: nn.PReLU(8),
    "prelu_one": lambda: nn.PReLU(),
    "normalize": lambda: Function(lambda x, a, b: F.normalize(x, dim=1) * a[:, None, None]),
    "standardize": lambda: Function(
        lambda x, a, b: (x - x.mean((2, 3), True)) / (x.var((2, 3), keepdim=True) + 1) * a.view(1, -1, 1, 1)
    ),
    "filter_response": lambda: Function(
        lambda x, a, b: torch.max(
            x * torch.rsqrt(x.square().mean((2, 3), True) + 1) * a[:, None, None], b[:, None, None]
        )
    ),
    "pixel": lambda: Function(lambda x, a, b: x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt() + b[:, None, None]),
    "layer_scale": lambda: Function(lambda x, a, b: x + torch.einsum("bchw,c->bchw", x.tanh(), a)),
    "excite": lambda: Excite("pool"),
    "excite_spatial": lambda: Excite("spatial"),
    "excite_context": lambda: Excite("context"),
    "global_response": Response,
    "maxout_halves": lambda: Competing("halves"),
}
_FIXED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "softmax_channels": (lambda: nn.Softmax2d(), "positions along it compete"),
    "excite_across": (lambda: Excite("across"), "slides along it"),
    "local_response": (lambda: nn.LocalResponseNorm(3), "neighbours along it|resampled along it"),
}


def _rows(how: str, **facts: Any) -> Entry:
    return Entry(build=partial(Rows, how), arguments=vector(6), **{"axes": {"first": 9}, **facts})


_NOT_ZERO = "units are read by a sum where their value is not zero"
_HALVED = {"maxout_halves": 4}

ENTRIES = {
    **{
        f"norm_{name}": Entry(
            build=partial(lambda make, width: Between(make(), width), make, _HALVED.get(name, 8)),
            arguments=_IMAGE,
            axes={"first": _HALVED.get(name, 8)},
        )
        for name, make in _MODULES.items()
    },
    **{
        f"norm_{name}": Entry(
            build=partial(lambda make: Between(make()), make),
            arguments=_IMAGE,
            fixed=(rf"first\.weight\[0\].*({why})",),
        )
        for name, (make, why) in _FIXED.items()
    },
    "norm_group_two": Entry(
        build=lambda: Between(nn.GroupNorm(2, 8, affine=False)),
        arguments=_IMAGE,
        axes={"first:group": 2, "first:channel": 4},
    ),
    "norm_maxout": Entry(
        build=lambda: Between(Competing("maxout"), 4),
        arguments=_IMAGE,
        axes={"first:channel.1": 4, "first:channel.2": 2},
    ),
    "norm_selection": Entry(
        build=lambda: Between(Competing("selection")),
        arguments=_IMAGE,
        axes={"first": 8, "middle.one": 8, "middle.down": 5},
    ),
    **{f"rows_{how}": _rows(how) for how in ("rsqrt_square", "float", "norm", "einsum", "deviation", "angles")},
    **{f"rows_{how}": _rows(how) for how in ("cosine", "distances", "pairwise", "squares")},
}
