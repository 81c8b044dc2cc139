"""Contractions in all their forms, with layers and with parameters that the model holds itself, and tables."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, image, vector

__all__ = ["ENTRIES"]

Contract = Callable[["Products", Tensor, Tensor], Tensor]


class Products(nn.Module):
    """Two layers of 8 and 9 units, a contraction, and a layer that reads 5."""

    def __init__(self, function: Contract) -> None:
        super().__init__()
        self.function, self.rank, self.groups = function, 3, 2
        self.first, self.second, self.last = nn.Linear(6, 8), nn.Linear(6, 9), nn.Linear(5, 4)
        self.left, self.right = nn.Parameter(torch.randn(8, 5)), nn.Parameter(torch.randn(5, 9))
        self.cube, self.bias = nn.Parameter(torch.randn(5, 8, 9)), nn.Parameter(torch.randn(5))
        self.square = nn.Parameter(torch.randn(8, 8))
        self.down, self.up = nn.Parameter(torch.randn(3, 8)), nn.Parameter(torch.randn(5, 3))
        self.diagonal, self.side = nn.Parameter(torch.randn(8)), nn.Linear(17, 4)

    def forward(self, x: Tensor) -> Tensor:
        one, two = self.first(x), self.second(x)
        out: Tensor = self.last(self.function(self, one, two)) + self.side(torch.cat([one, two], 1))
        return out


class Held(nn.Module):
    """Convolutions whose weights the model holds itself."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.groups = how, 2
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1)
        self.weight, self.bias = nn.Parameter(torch.randn(8, 8, 3, 3)), nn.Parameter(torch.randn(8))
        self.grouped, self.each = nn.Parameter(torch.randn(8, 4, 1, 1)), nn.Parameter(torch.randn(8, 1, 3, 3))
        self.shared, self.mask = nn.Parameter(torch.randn(8, 8)), nn.Parameter(torch.randn(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.how == "plain":
            x = F.conv2d(x, self.weight, self.bias, padding=1)
        elif self.how == "grouped":
            x = F.conv2d(x, self.grouped, self.bias, groups=self.groups)
        elif self.how == "each":
            x = F.conv2d(x, self.each, None, 1, 1, 1, x.shape[1])
        elif self.how == "transposed":
            x = F.conv_transpose2d(x, self.weight, self.bias, padding=1, groups=1)
        elif self.how == "outer":
            x = F.conv2d(x, self.shared[:, :, None, None] * self.mask, self.bias, padding=1)
        elif self.how == "twice":
            x = F.conv2d(F.conv2d(x, self.weight, padding=1).tanh(), self.weight.transpose(0, 1), padding=1)
        else:
            weight = torch.einsum("oi,hw->oihw", self.shared, self.mask)
            x = F.conv2d(x, weight, self.bias, padding="same")
        out: Tensor = self.last(F.silu(x))
        return out


class Convolved(nn.Module):
    """Convolutions in one to three dims, with a multiplier, grouped both ways."""

    def __init__(self, n: int, how: str) -> None:
        super().__init__()
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n - 1]
        up = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[n - 1]
        self.how, self.n = how, n
        self.first = conv(3, 6, 3, padding=1)
        middles: dict[str, Callable[[], nn.Module]] = {
            "multiplied": lambda: conv(6, 12, 3, padding=1, groups=6),
            "grouped": lambda: conv(6, 12, 3, padding=1, groups=3),
            "transposed": lambda: up(6, 12, 2, stride=2),
            "grouped_transposed": lambda: up(6, 12, 2, stride=2, groups=3),
            "each_transposed": lambda: up(6, 12, 3, stride=2, groups=6, bias=False),
            "causal": lambda: conv(6, 12, 3),
            "strided": lambda: conv(6, 12, 2, stride=2, dilation=2, padding=1, padding_mode="circular"),
        }
        self.middle, self.last = middles[how](), conv(12, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if self.how == "causal":
            x = F.pad(x, (2, 0) * self.n)
        out: Tensor = self.last(F.silu(self.middle(x)))
        return out


class Looked(nn.Module):
    """Tables: bags of rows, positions cut to length, rows by one-hot products, tied heads."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        mode = how.removeprefix("bag_") if how.startswith("bag") else "sum"
        self.bag, self.words, self.places = (
            nn.EmbeddingBag(11, 8, mode=mode),
            nn.Embedding(11, 8, padding_idx=0),
            nn.Embedding(9, 8),
        )
        self.table, self.factor = nn.Parameter(torch.randn(1, 9, 8)), nn.Linear(8, 6)
        self.hidden, self.last = nn.Linear(8, 6), nn.Linear(6, 4)
        self.back = nn.Linear(6, 8)

    def forward(self, ids: Tensor) -> Tensor:
        if self.how.startswith("bag"):
            x = self.bag(ids)
        elif self.how == "one_hot":
            x = F.one_hot(ids, 11).to(self.words.weight.dtype) @ self.words.weight
        elif self.how == "places":
            x = self.words(ids) + self.table[:, : ids.shape[1]] + self.places.weight[: ids.shape[1]]
        else:
            x = self.words(ids)
            hidden = self.back(F.silu(self.hidden(x)))
            found: Tensor = F.linear(hidden, self.words.weight) * 0.3 + hidden @ self.words.weight.t()
            return found
        out: Tensor = self.last(F.silu(self.hidden(x)))
        return out


def _ids(batch: int) -> tuple[Tensor]:
    return (torch.randint(0, 11, (batch, 5), generator=torch.Generator().manual_seed(2)),)


_FORMS: dict[str, Contract] = {
    "einsum_implicit": lambda m, x, y: torch.einsum("bi,io", x, m.left),
    "einsum_ellipsis": lambda m, x, y: torch.einsum("...i,io->...o", x[:, None], m.left)[:, 0],
    "einsum_repeated": lambda m, x, y: x @ torch.einsum("ii,io->io", m.square, m.left),
    "einsum_diagonal": lambda m, x, y: (x * torch.einsum("ii->i", m.square)) @ m.left,
    "einsum_three": lambda m, x, y: torch.einsum("bi,oij,bj->bo", x, m.cube, y),
    "einsum_lists": lambda m, x, y: torch.einsum(x, [0, 1], m.left, [1, 2], [0, 2]),
    "einsum_summed": lambda m, x, y: torch.einsum("bi,io,bj->bo", x, m.left, y),
    "einsum_outer": lambda m, x, y: torch.einsum("bij,oij->bo", torch.einsum("bi,bj->bij", x, y), m.cube),
    "matmul_vector": lambda m, x, y: torch.stack([row @ m.left for row in x.unbind(0)]),
    "matmul_left": lambda m, x, y: (m.right @ y.t()).t(),
    "matmul_three": lambda m, x, y: (x[:, None] @ m.left)[:, 0],
    "matmul_broadcast": lambda m, x, y: (m.right @ y[:, None, :, None])[:, 0, :, 0],
    "matmul_batches": lambda m, x, y: (x[:, None, None] @ m.cube).squeeze(2).mul(y[:, None]).sum(-1),
    "mv": lambda m, x, y: torch.stack([torch.mv(m.right, row) for row in y.unbind(0)]),
    "addmv": lambda m, x, y: torch.stack([torch.addmv(m.bias, m.right, row) for row in y.unbind(0)]),
    "addmm": lambda m, x, y: torch.addmm(m.bias, x, m.left, beta=0.5, alpha=2.0),
    "addbmm": lambda m, x, y: torch.addbmm(m.bias, x.t()[:, :, None], m.left[:, None], alpha=0.5),
    "addr": lambda m, x, y: torch.stack([torch.addr(m.left, row, m.bias).sum(0) for row in x.unbind(0)]),
    "baddbmm": lambda m, x, y: torch.baddbmm(m.bias, x[:, None], m.left.expand(len(x), -1, -1))[:, 0],
    "bilinear": lambda m, x, y: F.bilinear(x, y, m.cube, m.bias),
    "tensordot": lambda m, x, y: torch.tensordot(x, m.left, dims=1),
    "tensordot_dims": lambda m, x, y: torch.tensordot(x[:, :, None] * y[:, None], m.cube, dims=([1, 2], [1, 2])),
    "inner": lambda m, x, y: torch.inner(y, m.right),
    "outer": lambda m, x, y: x @ torch.outer(m.diagonal, m.bias),
    "vecdot": lambda m, x, y: torch.linalg.vecdot(y[:, None], m.right),
    "multi_dot": lambda m, x, y: torch.linalg.multi_dot([x, m.down.t(), m.up.t()]),
    "chain": lambda m, x, y: F.linear(x, m.up @ m.down, m.bias),
    "low_rank": lambda m, x, y: F.linear(x, m.left.t()) + F.linear(F.linear(x, m.down), m.up) * 2.0,
    "slice": lambda m, x, y: F.linear(y, m.right[: m.bias.shape[0]], m.bias),
    "joined_weight": lambda m, x, y: F.linear(torch.cat([x, y], 1), torch.cat([m.left.t(), m.right], 1)),
    "scaled_weight": lambda m, x, y: F.linear(y, m.right * torch.sigmoid(m.bias)[:, None]),
    "softplus_weight": lambda m, x, y: F.linear(y, F.softplus(m.right)),
    "sign_weight": lambda m, x, y: F.linear(y, m.right.sign()),
    "quadratic": lambda m, x, y: torch.einsum("bi,ij,bj->b", x, m.square, x)[:, None] * m.bias,
    "distances": lambda m, x, y: torch.cdist(y, m.right),
    "cosines": lambda m, x, y: F.cosine_similarity(y[:, None], m.right[None], -1),
    "crossed": lambda m, x, y: (x[:, :, None] * y[:, None]).flatten(1) @ m.cube.flatten(1).t(),
}

_CONVOLVED: dict[str, dict[str, int]] = {
    **{key: {"first": 6, "middle": 2} for key in ("multiplied", "each_transposed")},
    **{key: {"first:group": 3, "first:channel": 2, "middle": 4} for key in ("grouped", "grouped_transposed")},
    **{key: {"first": 6, "middle": 12} for key in ("transposed", "causal", "strided")},
}
_BOTH = {"first": 8, "second": 9}
_AXES: dict[str, dict[str, int]] = {
    **{key: {**_BOTH, "down": 3} for key in ("multi_dot", "chain", "low_rank")},
}


def _convolved() -> dict[str, Entry]:
    return {
        f"convolved_{how}_{n}d": Entry(build=partial(Convolved, n, how), arguments=image(3, *[4] * n), axes=axes)
        for how, axes in _CONVOLVED.items()
        for n in (1, 2, 3)
    }


ENTRIES = {
    **{
        f"product_{name}": Entry(
            build=partial(Products, function),
            arguments=vector(6),
            axes=_AXES.get(name, _BOTH),
        )
        for name, function in _FORMS.items()
    },
    **{
        f"held_{how}": Entry(build=partial(Held, how), arguments=image(3, 4, 4), axes={"first": 8})
        for how in ("plain", "each", "transposed", "outer", "twice", "einsum")
    },
    "held_grouped": Entry(
        build=partial(Held, "grouped"),
        arguments=image(3, 4, 4),
        axes={"first:group": 2, "first:channel": 4, "grouped": 4},
    ),
    **_convolved(),
    **{
        f"table_{how}": Entry(build=partial(Looked, how), arguments=_ids, axes={"hidden": 6})
        for how in ("bag_sum", "bag_mean", "bag_max", "one_hot", "places", "tied")
    },
}
