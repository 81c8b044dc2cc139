"""Sums whose producers can lose units alone, and some whose producers cannot."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, image, vector

__all__ = ["ENTRIES"]


class Denoise(nn.Module):
    """What is added to the input: the stream cannot be cut."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.norm = (
            nn.Conv2d(3, 6, 3, padding=1),
            nn.Conv2d(6, 3, 3, padding=1),
            nn.BatchNorm2d(3),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.norm(self.last(F.relu(self.first(x))))
        return out


class InPlace(nn.Module):
    """Sums and activations written into the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6)
        self.inner, self.outer = nn.Conv2d(6, 5, 1), nn.Conv2d(5, 6, 1)
        self.outer_norm, self.act, self.head = nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.stem(x)))
        block = self.outer_norm(self.outer(self.act(self.inner(x))))
        block += x
        out: Tensor = self.head(self.act(block).mean((2, 3)))
        return out


class Scaled(nn.Module):
    """A learned factor per channel between producer and sum, on either side of the product."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.up, self.down = nn.Linear(6, 8), nn.Linear(8, 10), nn.Linear(10, 8)
        self.more = nn.Linear(8, 8)
        self.gamma, self.other, self.head = nn.Parameter(torch.ones(8)), nn.Parameter(torch.ones(8)), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.gamma * self.down(F.gelu(self.up(x)))
        x = x + self.more(F.gelu(x)) * self.other
        out: Tensor = self.head(F.relu(x))
        return out


class ReadTwice(nn.Module):
    """A producer that other layers read too, beside the sum; one whose norm is not its only reader."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.side = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 1), nn.Conv2d(6, 5, 1)
        self.last, self.norm = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6)
        self.head, self.other = nn.Linear(6, 4), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        block = self.block(x)
        x = F.relu(x + block)
        last = self.last(x)
        x = x + self.norm(last) + torch.sigmoid(last)
        out: Tensor = self.head(F.relu(x).mean((2, 3))) + self.other(F.relu(self.side(block)).mean((2, 3)))
        return out


class Shared(nn.Module):
    """Producers that cannot go alone: grouped, called twice, tied, or made by a computed weight."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.grouped, self.twice = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 1, groups=2), nn.Conv2d(6, 6, 1)
        self.tied, self.tie, self.computed = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 1)
        self.tie.weight = self.tied.weight
        self.plain, self.norm, self.head = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = x + self.grouped(x)
        x = x + self.twice(F.relu(self.twice(x)))
        x = x + self.tied(x) + self.tie(F.relu(x))
        x = x + F.conv2d(x, self.computed.weight * 2, self.computed.bias)
        x = x + self.norm(self.plain(x)) + self.norm(x)
        out: Tensor = self.head(F.relu(x).mean((2, 3)))
        return out


class Columns(nn.Module):
    """A linear layer with its weight the other way round, that gives its result a shape by an attribute."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.width = outputs
        self.weight, self.bias = nn.Parameter(torch.ones(inputs, outputs)), nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        size = (*x.size()[:-1], self.width)
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(size)


class Rows(nn.Module):
    """A stream of such layers, normalised over its width."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = Columns(5, 8), nn.LayerNorm(8)
        self.up, self.down, self.head = Columns(8, 10), Columns(10, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.down(F.gelu(self.up(self.norm(x))))
        out: Tensor = self.head(F.relu(x))
        return out


class Asked(nn.Module):
    """Code that takes the width of the stream from a producer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 1), nn.Linear(6, 4)
        self.norm = nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = x + self.norm(self.block(x))
        out: Tensor = self.head(F.relu(x).view(x.shape[0], self.block.out_channels, -1).mean(2))
        return out


class Turned(nn.Module):
    """Linear layers on a transposed input: torch adds their bias in place; a norm of vectors behind another."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.head = nn.Linear(5, 6), nn.Linear(7, 6), nn.Linear(6, 4)
        self.dense, self.norm = nn.Linear(6, 6), nn.BatchNorm1d(6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x) + self.mix(torch.cat([x, x[..., :2]], -1).transpose(0, 1)).transpose(0, 1)
        x = x.mean(1)
        x = x + self.norm(self.dense(F.relu(x)))
        out: Tensor = self.head(F.relu(x))
        return out


class Upward(nn.Module):
    """A decoder: a transposed convolution added to a skip connection, normalised by groups."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 5, 2, stride=2)
        self.up, self.norm, self.head = nn.ConvTranspose2d(5, 8, 2, stride=2), nn.GroupNorm(2, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = x + self.up(F.relu(self.down(x)))
        out: Tensor = self.head(F.relu(self.norm(x)).mean((2, 3)))
        return out


_IN = image(3, 8, 8)

ENTRIES = {
    "branch_fixed_stream": Entry(build=Denoise, arguments=_IN, axes={"first": 6, "last:branch": 3}),
    "branch_in_place": Entry(build=InPlace, arguments=_IN, axes={"stem": 6, "stem:branch": 6, "outer:branch": 6}),
    "branch_scaled": Entry(
        build=Scaled, arguments=vector(6), axes={"stem": 8, "stem:branch": 8, "down:branch": 8, "more:branch": 8}
    ),
    "branch_read_twice": Entry(
        build=ReadTwice, arguments=_IN, axes={"stem": 6, "stem:branch": 6, "block:branch": 6, "last:branch": 6}
    ),
    "branch_shared": Entry(build=Shared, arguments=_IN, axes={"stem:branch": 6, "plain:branch": 6}),
    "branch_columns": Entry(build=Rows, arguments=image(3, 5), axes={"down:branch": 8}),
    "branch_asked": Entry(build=Asked, arguments=_IN, axes={"stem": 6, "stem:branch": 6, "block:branch": 6}),
    "branch_turned": Entry(build=Turned, arguments=image(3, 5), axes={"stem": 6, "dense:branch": 6}),
    "branch_upward": Entry(build=Upward, arguments=_IN, axes={"stem:branch": 8, "up:branch": 8}),
}
