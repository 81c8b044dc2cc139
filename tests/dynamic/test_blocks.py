"""Which modules are blocks, in networks of many makes."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import GraphError, PlanError, models
from secateurs.dynamic import Given, deciding, find_blocks, gate
from tests.dynamic._nets import images, randomised


class PreActivation(nn.Module):
    """BatchNorm and ReLU first; in place, as libraries write it."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.norm, self.relu = nn.BatchNorm2d(before), nn.ReLU(inplace=True)
        self.first = nn.Conv2d(before, after, 3, stride, 1)
        self.second = nn.Conv2d(after, after, 3, 1, 1)
        self.project = nn.Conv2d(before, after, 1, stride) if before != after else None

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.norm(x))
        short = x if self.project is None else self.project(out)
        out = self.second(F.relu(self.first(out)))
        out += short
        return out


class InPlace(nn.Module):
    """A ReLU that writes into the sum, which may be the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x).add_(x))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Two sums in a row, over tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.mlp = nn.Linear(width, width), nn.Sequential(nn.Linear(width, 8), nn.GELU(), nn.Linear(8, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(self.norm1(x)).flip(1)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Wrapped(nn.Module):
    """A function in a wrapper that adds."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + x  # type: ignore[no-any-return]


class Squeeze(nn.Module):
    """Attention to channels: a product, no sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3))).sigmoid()[:, :, None, None]  # type: ignore[no-any-return]


def row(*blocks: nn.Module) -> nn.Sequential:
    """A network of them."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    randomised(net)
    return net


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (row(PreActivation(6, 6), PreActivation(6, 8, 2), Squeeze(8)), {"1": False, "2": True}),
        (row(InPlace(6), InPlace(6)), {"1": False, "2": False}),
        (row(Wrapped(nn.Sequential(nn.Conv2d(6, 6, 1))), Wrapped(nn.Conv2d(6, 6, 1))), {"1": False, "2": False}),
        (
            row(Wrapped(nn.Sequential(InPlace(6), InPlace(6), nn.Conv2d(6, 6, 1)))),
            {"1.inner.0": False, "1.inner.1": False},
        ),
        (row(Wrapped(nn.Sequential(InPlace(6), nn.Conv2d(6, 6, 1)))), {"1": False}),
        (models.build("resnet8", shortcut="B"), {"layer1.0": False, "layer2.0": True, "layer3.0": True}),
    ],
)
def test_blocks_are_what_adds_to_its_input(net: nn.Module, expected: dict[str, bool]) -> None:
    found = find_blocks(net, (images(2),))
    assert {block.path: block.projects for block in found} == expected


@pytest.mark.parametrize("kind", [PreActivation, InPlace])
@torch.no_grad()
def test_skipping_passes_the_input_on_and_leaves_it_whole(kind: type[nn.Module]) -> None:
    net = row(PreActivation(6, 6), kind(6, 6) if kind is PreActivation else kind(6))
    model, x = gate(net, (images(2),), seed=0), images(4)
    block = model.get_submodule("2")
    into = torch.randn(4, 6, 8, 8)
    whole = into.clone()
    for decisions in ([[0.0]], [[0.0, 1.0, 1.0, 0.0]]):
        with deciding(model, Given(decisions)):
            out = block(into)
        skipped = [number for number in range(4) if not decisions[0][number % len(decisions[0])]]
        torch.testing.assert_close(out[skipped], whole[skipped].relu() if kind is InPlace else whole[skipped])
        assert torch.equal(into, whole)
    assert model(x).shape == (4, 6)


@torch.no_grad()
def test_tokens_are_gated_too() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 12), Transformer(12), Transformer(12), nn.Linear(12, 2)).eval()
    x = torch.randn(3, 7, 5)
    assert [(block.path, block.channels) for block in find_blocks(net, x)] == [("1", 12), ("2", 12)]
    model = gate(net, x, seed=0)
    with deciding(model, Given([[0.0, 1.0, 0.0]])):
        out = model(x)
    expected = [
        net[3](net[1](net[0](x[i : i + 1])) if i != 1 else net[2](net[1](net[0](x[i : i + 1])))) for i in range(3)
    ]
    torch.testing.assert_close(out, torch.cat(expected))


def test_named_blocks_must_be_blocks() -> None:
    net = models.build("resnet8")
    assert [block.path for block in find_blocks(net, images(1), blocks=["layer[23].0"])] == ["layer2.0", "layer3.0"]
    with pytest.raises(GraphError, match=r"layer1: it adds no function"):
        find_blocks(net, images(1), blocks=["layer?"])
    with pytest.raises(GraphError, match="no such module"):
        find_blocks(net, images(1), blocks=["stage*"])
    with pytest.raises(PlanError, match="besides the first"):
        gate(net, images(1), blocks=["layer2.0"])


def test_what_is_called_twice_or_differently_is_none() -> None:
    shared = InPlace(6)
    with pytest.raises(GraphError, match="2: it is called more than once"):
        find_blocks(row(InPlace(6), shared, shared), images(1), blocks=["1", "2"])
