"""Multilayer perceptrons: norms over features, ties, reuse, embeddings, scales and buffers per unit."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, vector

__all__ = ["ENTRIES"]


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 4))


def with_norms() -> nn.Module:
    return nn.Sequential(
        *[nn.Linear(6, 9), nn.BatchNorm1d(9), nn.GELU(), nn.Dropout(0.5), nn.Linear(9, 8), nn.LayerNorm(8)],
        *[nn.SiLU(), nn.Linear(8, 7), nn.RMSNorm(7), nn.Tanh(), nn.Linear(7, 4)],
    )


class OwnRMSNorm(nn.Module):
    """The norm written by hand: a mean of squares over features."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 9), nn.Linear(9, 4)
        self.scale = nn.Parameter(torch.ones(9))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        out: Tensor = self.last(self.scale * x)
        return out


class Tied(nn.Module):
    """Decoder weights are the encoder's, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 9), nn.Linear(9, 7)
        self.bias = nn.Parameter(torch.zeros(9))

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.second(F.relu(self.first(x))))
        hidden = F.relu(F.linear(hidden, self.second.weight.t(), self.bias))
        return F.linear(hidden, self.first.weight.t())


class Shared(nn.Module):
    """Two layers that hold one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.left, self.right = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.right.weight = self.left.weight
        self.last = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(F.relu(self.right(F.relu(self.left(F.relu(self.first(x)))))))
        return out


class Reused(nn.Module):
    """One module called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 4)
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for _ in range(3):
            x = x + F.gelu(self.again(self.norm(x)))
        out: Tensor = self.last(x)
        return out


class Functional(nn.Module):
    """Weights without layers."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Parameter(torch.randn(9, 6)), nn.Parameter(torch.randn(9, 7))
        self.three, self.shift = nn.Parameter(torch.randn(4, 7)), nn.Parameter(torch.randn(7))

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.one).tanh()
        x = (x @ self.two + self.shift).tanh()
        return torch.einsum("bi,oi->bo", x, self.three)


class Scaled(nn.Module):
    """A parameter and a registered buffer per unit."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 9), nn.Linear(9, 4)
        self.gamma = nn.Parameter(torch.full((9,), 0.1))
        self.register_buffer("mean", torch.zeros(1, 9))
        self.register_buffer("hidden", torch.ones(9), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = (self.first(x) - self.mean) * self.get_buffer("hidden")
        out: Tensor = self.last(F.relu(x) * self.gamma)
        return out


class Bag(nn.Module):
    """Embeddings of two tables, added, averaged over positions, then an MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(11, 8), nn.Embedding(5, 8)
        self.hidden, self.last = nn.Linear(8, 6), nn.Linear(6, 4)

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1], device=ids.device)
        x = (self.words(ids) + self.places(places)).mean(1)
        out: Tensor = self.last(F.relu(self.hidden(x)))
        return out


class TiedEmbedding(nn.Module):
    """A language model whose output weights are its table."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.hidden = nn.Embedding(11, 8), nn.Linear(8, 6)
        self.back, self.head = nn.Linear(6, 8), nn.Linear(8, 11, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids)
        out: Tensor = self.head(x + self.back(F.relu(self.hidden(x))))
        return out


class Sums(nn.Module):
    """Units read by a sum, not by a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gate, self.last = nn.Linear(6, 9), nn.Linear(6, 9), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.first(x), self.gate(x).sigmoid()
        rows = torch.stack([b.sum(-1), (a * b).sum(-1), a.mean(-1)], -1)
        out: Tensor = self.last(rows)
        return out


class Bilinear(nn.Module):
    """Two streams meet in a product of features."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(6, 9), nn.Linear(6, 9)
        self.down, self.last = nn.Linear(9, 5), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.left(x), self.right(x)
        cosine = (left * right).sum(-1, keepdim=True)
        out: Tensor = self.last(F.relu(self.down(left * right)) * cosine)
        return out


def ids(batch: int) -> tuple[Tensor]:
    """Token numbers [batch, 5]."""
    return (torch.randint(0, 11, (batch, 5), generator=torch.Generator().manual_seed(1)),)


_IN = vector(6)
_NO_WEIGHT = "units are read by a sum where their value is not zero"

ENTRIES = {
    "mlp": Entry(build=mlp, arguments=_IN, axes={"0": 9, "2": 7}, fixed=(r"0\.weight\[1\]", r"4\.bias.*output")),
    "mlp_norms": Entry(build=with_norms, arguments=_IN, axes={"0": 9, "4": 8, "7": 7}),
    "own_rms_norm": Entry(build=OwnRMSNorm, arguments=_IN, axes={"first": 9}),
    "tied_transposed": Entry(build=Tied, arguments=_IN, axes={"first": 9, "second": 7}),
    "shared_weight": Entry(build=Shared, arguments=_IN, axes={"first": 8}),
    "reused_module": Entry(build=Reused, arguments=_IN, axes={"first": 8}),
    "functional_linear": Entry(build=Functional, arguments=_IN, axes={"one": 9, "two": 7}),
    "per_unit_parameters": Entry(build=Scaled, arguments=_IN, axes={"first": 9}),
    "embedding_bag": Entry(
        build=Bag, arguments=ids, axes={"words": 8, "hidden": 6}, fixed=(r"words\.weight\[0\].*looked up",)
    ),
    "tied_embedding": Entry(build=TiedEmbedding, arguments=ids, axes={"table": 8, "hidden": 6}),
    "feature_sums": Entry(build=Sums, arguments=_IN, axes={"first": 9}, zeroing=_NO_WEIGHT),
    "bilinear": Entry(build=Bilinear, arguments=_IN, axes={"left": 9, "down": 5}),
}
