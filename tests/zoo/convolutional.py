"""Convolutions of every make: plain, grouped, depthwise, transposed, in one to three dims, shuffled and padded."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, image

__all__ = ["ENTRIES"]


class Head(nn.Module):
    """A body that makes images, pooled and classified."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x).flatten(2).mean(2))
        return out


def plain() -> nn.Module:
    layers = [nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.ReLU()]
    return Head(nn.Sequential(*layers), 8)


def depthwise() -> nn.Module:
    layers = [nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6), nn.ReLU6(), nn.Conv2d(6, 8, 1)]
    return Head(nn.Sequential(*layers), 8)


def multiplier() -> nn.Module:
    return Head(nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 12, 3, groups=6), nn.ReLU(), nn.Conv2d(12, 5, 1)), 5)


def grouped() -> nn.Module:
    return Head(nn.Sequential(nn.Conv2d(3, 12, 1), nn.ReLU(), nn.Conv2d(12, 18, 3, groups=3), nn.ReLU()), 18)


def grouped_twice() -> nn.Module:
    layers = [nn.Conv2d(3, 12, 1), nn.Conv2d(12, 12, 3, groups=3), nn.ReLU(), nn.Conv2d(12, 24, 1, groups=6)]
    return Head(nn.Sequential(*layers), 24)


def transposed() -> nn.Module:
    layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.ConvTranspose2d(6, 8, 2, stride=2), nn.BatchNorm2d(8), nn.ReLU()]
    return Head(nn.Sequential(*layers), 8)


def grouped_transposed() -> nn.Module:
    layers = [nn.Conv2d(3, 12, 3), nn.ReLU(), nn.ConvTranspose2d(12, 9, 2, stride=2, groups=3), nn.ReLU()]
    return Head(nn.Sequential(*layers, nn.Conv2d(9, 5, 1)), 5)


def depthwise_transposed() -> nn.Module:
    return Head(nn.Sequential(nn.Conv2d(3, 6, 1), nn.ConvTranspose2d(6, 6, 3, groups=6), nn.Conv2d(6, 5, 1)), 5)


def one_dim() -> nn.Module:
    return Head(nn.Sequential(nn.Conv1d(3, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 8, 3, dilation=2)), 8)


def three_dim() -> nn.Module:
    return Head(nn.Sequential(nn.Conv3d(3, 6, 2), nn.BatchNorm3d(6), nn.ReLU(), nn.Conv3d(6, 8, 2)), 8)


def padded() -> nn.Module:
    layers = [nn.Conv2d(3, 6, 3, padding="same"), nn.Conv2d(6, 8, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
    more = [nn.Conv2d(8, 7, 3, padding=1, padding_mode="circular"), nn.ReLU()]
    last = nn.Conv2d(7, 5, 3, padding=2, padding_mode="replicate")
    return Head(nn.Sequential(*layers, *more, nn.ZeroPad2d(1), last), 5)


def channel_prelu() -> nn.Module:
    return Head(nn.Sequential(nn.Conv2d(3, 6, 3), nn.PReLU(6), nn.Conv2d(6, 8, 3), nn.PReLU()), 8)


class Functional(nn.Module):
    """Convolutions with bare parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Parameter(torch.randn(6, 3, 3, 3)), nn.Parameter(torch.randn(6, 1, 3, 3))
        self.three, self.bias = nn.Parameter(torch.randn(4, 6, 1, 1)), nn.Parameter(torch.randn(6))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.conv2d(x, self.one, self.bias))
        x = F.relu(F.conv2d(x, self.two, groups=x.shape[1]))
        return F.conv2d(x, self.three).mean((2, 3))


class Standardised(nn.Module):
    """Weights normalised before use: the weight itself passes through operators."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        weight = self.second.weight
        weight = weight / weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        out: Tensor = self.head(F.relu(F.conv2d(x, weight, self.second.bias)).mean((2, 3)))
        return out


class BatchStandardised(nn.Module):
    """Weights standardised by a batch norm over their own inputs, a grouped one among them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3)
        self.third, self.head = nn.Conv2d(8, 8, 3, groups=2), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        for layer in (self.second, self.third):
            flat = layer.weight.reshape(1, layer.out_channels, -1)
            weight = F.batch_norm(flat, None, None, training=True).reshape_as(layer.weight)
            x = F.relu(F.conv2d(x, weight, layer.bias, groups=layer.groups))
        out: Tensor = self.head(x.mean((2, 3)))
        return out


class Shuffle(nn.Module):
    """Channel shuffle between grouped convolutions, groups an attribute; `how` it is written differs."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.groups = how, 3
        self.first, self.second = nn.Conv2d(3, 12, 1), nn.Conv2d(12, 12, 3, padding=1, groups=3)
        self.third, self.head = nn.Conv2d(12, 12, 1, groups=3), nn.Linear(12, 4)

    def shuffle(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        if self.how == "view":
            return x.view(b, self.groups, c // self.groups, h, w).transpose(1, 2).contiguous().view(b, c, h, w)
        if self.how == "reshape":
            return x.reshape(b, self.groups, -1, h, w).permute(0, 2, 1, 3, 4).reshape(b, -1, h, w)
        if self.how == "unflatten":
            parts: Tensor = x.unflatten(1, (self.groups, -1))
            return parts.transpose(1, 2).flatten(1, 2)
        if self.how == "chunk":
            return torch.stack(x.chunk(3, 1), 2).flatten(1, 2)
        shuffled: Tensor = F.channel_shuffle(x, 3)
        return shuffled

    def forward(self, x: Tensor) -> Tensor:
        x = self.shuffle(F.relu(self.second(F.relu(self.first(x)))))
        out: Tensor = self.head(F.relu(self.third(x)).mean((2, 3)))
        return out


class ShuffleUnit(nn.Module):
    """ShuffleNet V2's unit: half of the channels pass, all are shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch = nn.Conv2d(3, 12, 1), nn.Conv2d(6, 6, 3, padding=1)
        self.after, self.head = nn.Conv2d(12, 7, 1), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        left, right = F.relu(self.stem(x)).chunk(2, dim=1)
        x = torch.cat([left, F.relu(self.branch(right))], 1)
        b, c, h, w = x.shape
        x = x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)
        out: Tensor = self.head(F.relu(self.after(x)).mean((2, 3)))
        return out


class ShuffleUnits(nn.Module):
    """Two such units in a row: what the first one mixes is halved and mixed again."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1)
        self.branches = nn.ModuleList([nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for branch in self.branches:
            left, right = x.chunk(2, dim=1)
            x = torch.cat([left, branch(right)], 1)
            b, c, h, w = x.shape
            x = x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)
        out: Tensor = self.head(x)
        return out


class Flipped(nn.Module):
    """Channels in reverse order, added to themselves elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 5, 1), nn.Linear(5, 4)
        self.side = nn.Conv2d(3, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x)).flip(1) + F.relu(self.side(x)).flip((1, 3))
        out: Tensor = self.head(F.relu(self.second(x)).mean((2, 3)))
        return out


class Pools(nn.Module):
    """Pooling and resampling of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 8, 1)
        self.third, self.head = nn.Conv2d(8, 5, 1), nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(x)), 2) + F.avg_pool2d(x.mean(1, keepdim=True), 2)
        x = F.adaptive_avg_pool2d(self.second(x), 3) + F.adaptive_max_pool2d(self.second(x), 3)
        x = F.lp_pool2d(x.abs() + 1, 2.0, 2, stride=1)
        x = self.third(F.max_pool2d(x, 2, stride=1, ceil_mode=True))
        out: Tensor = self.head(torch.cat([x.amax((2, 3)), F.adaptive_avg_pool2d(x, 1).flatten(1)], 1))
        return out


class Upsampled(nn.Module):
    """Resampling by factors and to sizes, and a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 6, 2, stride=2), nn.Conv2d(6, 5, 3, padding=1)
        self.skip, self.last = nn.Conv2d(3, 5, 1), nn.Conv2d(5, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.interpolate(F.relu(self.down(x)), scale_factor=2, mode="nearest")
        y = self.up(F.interpolate(y, size=(5, 7), mode="bilinear", align_corners=False))
        y = F.interpolate(y, size=x.shape[2:], mode="bicubic") + self.skip(x)
        out: Tensor = self.last(F.relu(y)).mean((2, 3))
        return out


_IN = image(3, 8, 8)
_SHUFFLED = {"first": 4, "third": 4}

ENTRIES = {
    "conv": Entry(build=plain, arguments=_IN, axes={"body.0": 6, "body.3": 8}),
    "depthwise": Entry(build=depthwise, arguments=_IN, axes={"body.0": 6, "body.4": 8}),
    "depthwise_multiplier": Entry(build=multiplier, arguments=_IN, axes={"body.0": 6, "body.1": 2, "body.3": 5}),
    "grouped": Entry(build=grouped, arguments=_IN, axes={"body.0:group": 3, "body.0:channel": 4, "body.2": 6}),
    "grouped_twice": Entry(
        build=grouped_twice, arguments=_IN, axes={"body.0:group": 3, "body.1:group": 2, "body.3": 4}
    ),
    "transposed": Entry(build=transposed, arguments=_IN, axes={"body.0": 6, "body.2": 8}),
    "grouped_transposed": Entry(
        build=grouped_transposed, arguments=_IN, axes={"body.0:group": 3, "body.0:channel": 4, "body.2": 3}
    ),
    "depthwise_transposed": Entry(build=depthwise_transposed, arguments=_IN, axes={"body.0": 6}),
    "conv1d": Entry(build=one_dim, arguments=image(3, 12), axes={"body.0": 6, "body.3": 8}),
    "conv3d": Entry(build=three_dim, arguments=image(3, 4, 4, 4), axes={"body.0": 6, "body.3": 8}),
    "padding_modes": Entry(build=padded, arguments=_IN, axes={"body.0": 6, "body.3": 7, "body.6": 5}),
    "prelu": Entry(build=channel_prelu, arguments=_IN, axes={"body.0": 6, "body.2": 8}),
    "functional_conv": Entry(build=Functional, arguments=_IN, axes={"one": 6}),
    "standardised_weight": Entry(
        build=Standardised,
        arguments=_IN,
        axes={"first": 6, "second": 8},
        zeroing="rows of zeros are divided by their norm",
    ),
    "batch_standardised_weight": Entry(build=BatchStandardised, arguments=_IN, axes={"first": 6}),
    "shuffle_view": Entry(build=lambda: Shuffle("view"), arguments=_IN, axes=_SHUFFLED),
    "shuffle_reshape": Entry(build=lambda: Shuffle("reshape"), arguments=_IN, axes=_SHUFFLED),
    "shuffle_unflatten": Entry(build=lambda: Shuffle("unflatten"), arguments=_IN, axes=_SHUFFLED),
    "shuffle_chunk": Entry(build=lambda: Shuffle("chunk"), arguments=_IN, axes=_SHUFFLED),
    "shuffle_function": Entry(build=lambda: Shuffle("function"), arguments=_IN, axes=_SHUFFLED),
    "shuffle_units": Entry(build=ShuffleUnits, arguments=_IN, axes={"stem": 2}),
    "shuffle_unit": Entry(build=ShuffleUnit, arguments=_IN, axes={"stem": 6, "after": 7}),
    "flip": Entry(build=Flipped, arguments=_IN, axes={"first": 6, "second": 5}),
    "pools": Entry(build=Pools, arguments=_IN, axes={"first": 6, "second": 8, "third": 5}),
    "upsampling": Entry(build=Upsampled, arguments=_IN, axes={"down": 6, "up": 5}),
}
