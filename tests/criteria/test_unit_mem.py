"""UnitMem against a slow reference that goes unit by unit, and what must not change it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import models, prune
from secateurs._errors import ConfigError, DataError, PlanError
from secateurs.criteria import UnitMem
from secateurs.data import AugmentedView, Batches, ViewOptions
from secateurs.graph import Graph, trace
from tests.criteria._toys import fill
from tests.data.making import image_set
from tests.zoo import ZOO

Reference = Callable[[Any, Tensor], Mapping[str, Tensor]]
"""From model and images to the activation [images, units] of every axis."""


def unit_mem(mu: Sequence[float], rest: Literal["mean", "median", "second"] = "mean") -> tuple[float, int]:
    """Of one unit, from the definition: its value, and the image of the maximum."""
    highest = max(mu)
    image = mu.index(highest)
    others = sorted(value for position, value in enumerate(mu) if position != image)
    middle = len(others) // 2
    median = others[middle] if len(others) % 2 else (others[middle - 1] + others[middle]) / 2
    compared = {"mean": sum(others) / len(others), "median": median, "second": others[-1]}[rest]
    return ((highest - compared) / (highest + compared) if highest else 0.0, image if highest else -1)


def averaged(x: Tensor) -> Tensor:
    """The mean over a feature map."""
    return x.double().mean((2, 3))


class Functional(nn.Module):
    """ReLU as a function, and once in place; a pool that must not come before the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.one(x)), 2)
        x = F.relu_(self.two(x))
        result: Tensor = self.head(x.mean((2, 3)))
        return result

    def activations(self, x: Tensor) -> Mapping[str, Tensor]:
        one = F.relu(self.one(x))
        return {"one": averaged(one), "two": averaged(F.relu(self.two(F.max_pool2d(one, 2))))}


class Modules(nn.Module):
    """The same ReLU module at two places, with norms before."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 1), nn.Linear(4, 2)
        self.norms, self.act = nn.ModuleList([nn.BatchNorm2d(5), nn.BatchNorm2d(4)]), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norms[0](self.one(x)))
        x = self.act(self.norms[1](self.two(x)))
        result: Tensor = self.head(x.mean((2, 3)))
        return result

    def activations(self, x: Tensor) -> Mapping[str, Tensor]:
        one = self.norms[0](self.one(x)).relu()
        return {"one": averaged(one), "two": averaged(self.norms[1](self.two(one)).relu())}


class Residual(nn.Module):
    """A stream with two producers; a functional ReLU behind the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.outer = (nn.Conv2d(n, m, 3, padding=1) for n, m in ((3, 6), (6, 5), (5, 6)))
        self.norms = nn.ModuleList([nn.BatchNorm2d(width) for width in (6, 5, 6)])
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norms[0](self.stem(x)))
        x = torch.relu(x + self.norms[2](self.outer(torch.relu(self.norms[1](self.inner(x))))))
        result: Tensor = self.head(x.mean((2, 3)))
        return result

    def activations(self, x: Tensor) -> Mapping[str, Tensor]:
        stem = self.norms[0](self.stem(x)).relu()
        inner = self.norms[1](self.inner(stem)).relu()
        behind = averaged((stem + self.norms[2](self.outer(inner))).relu())
        first = averaged(stem)
        return {
            "stem": (first + behind) / 2,
            "stem:branch": first,
            "inner": averaged(inner),
            "outer:branch": behind,
        }

    def at_norms(self, x: Tensor) -> Mapping[str, Tensor]:
        stem = self.norms[0](self.stem(x)).relu()
        inner = self.norms[1](self.inner(stem)).relu()
        last, first = averaged(self.norms[2](self.outer(inner)).relu()), averaged(stem)
        return {
            "stem": (first + last) / 2,
            "stem:branch": first,
            "inner": averaged(inner),
            "outer:branch": last,
        }


class Tokens(nn.Module):
    """A transformer's block without attention: the hidden units' GELU, over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Linear(4, 6), nn.LayerNorm(6)
        self.up, self.down, self.head = nn.Linear(6, 8), nn.Linear(8, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        x = x + self.down(F.gelu(self.up(self.norm(x))))
        result: Tensor = self.head(x.mean(1))
        return result

    def activations(self, x: Tensor) -> Mapping[str, Tensor]:
        hidden = F.gelu(self.up(self.norm(self.embed(x)))).clamp(min=0)
        return {
            "up": hidden.double().mean(1),
            "embed:branch": self.embed(x).clamp(min=0).double().mean(1),
            "down:branch": self.down(F.gelu(self.up(self.norm(self.embed(x))))).clamp(min=0).double().mean(1),
        }


class TokensFirst(Tokens):
    """The same with tokens along the first dim, as `nn.MultiheadAttention` has them by default."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.transpose(0, 1))
        x = x + self.down(F.gelu(self.up(self.norm(x))))
        result: Tensor = self.head(x.mean(0))
        return result


class Linears(nn.Module):
    """Units of linear layers, with a sigmoid and with nothing behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three, self.head = (nn.Linear(n, m) for n, m in ((4, 6), (6, 5), (5, 4), (4, 2)))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.three(torch.sigmoid(self.two(F.silu(self.one(x))))))
        return result

    def activations(self, x: Tensor) -> Mapping[str, Tensor]:
        one = F.silu(self.one(x))
        two = torch.sigmoid(self.two(one))
        found = {"one": one.clamp(min=0), "two": two, "three": self.three(two).clamp(min=0)}
        return {name: values.double() for name, values in found.items()}


NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "functional": (Functional, (3, 12, 12)),
    "modules": (Modules, (3, 6, 6)),
    "residual": (Residual, (3, 5, 5)),
    "tokens": (Tokens, (9, 4)),
    "sequence": (TokensFirst, (9, 4)),
    "linears": (Linears, (4,)),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def network(name: str, count: int = 11, seed: int = 0) -> tuple[Any, Graph, Tensor]:
    build, shape = NETWORKS[name]
    model = fill(build(), seed).eval()
    x = torch.randn((count, *shape), generator=torch.Generator().manual_seed(seed + 1))
    return model, trace(model, (x[:2],)), x


def check(graph: Graph, found: Mapping[str, Any], wanted: Mapping[str, Tensor], rest: Any = "mean") -> None:
    for name, mu in wanted.items():
        for unit in range(graph[name].size):
            value, image = unit_mem(mu[:, unit].tolist(), rest)
            assert abs(float(found[name].values[unit]) - value) < 1e-6, (name, unit)
            assert int(found[name].images[unit]) == image, (name, unit)


@every_network
@pytest.mark.parametrize("rest", ["mean", "median", "second"])
@torch.no_grad()
def test_equals_the_definition_unit_by_unit(name: str, rest: Any) -> None:
    for seed in range(2):
        model, graph, x = network(name, seed=seed)
        found = UnitMem(rest=rest).observe(graph, [x])
        check(graph, found, model.activations(x), rest)


@torch.no_grad()
def test_at_norms_branches_are_taken_before_their_sum() -> None:
    model, graph, x = network("residual")
    found = UnitMem(at="norm").observe(graph, [x])
    check(graph, found, model.at_norms(x))
    assert set(model.at_norms(x)) == {axis.name for axis in graph.axes}


@every_network
def test_batch_size_does_not_matter(name: str) -> None:
    _, graph, x = network(name)
    one = UnitMem().observe(graph, [x], activations=True)
    for size in (1, 2, 3, 4, 9):
        parts = UnitMem().observe(graph, list(x.split(size)), activations=True)
        for axis, whole in one.items():
            torch.testing.assert_close(parts[axis].values, whole.values, rtol=0, atol=1e-6)
            assert torch.equal(parts[axis].images, whole.images)
            torch.testing.assert_close(parts[axis].activations, whole.activations)


@torch.no_grad()
def test_activations_are_those_that_the_values_come_from() -> None:
    model, graph, x = network("functional")
    found = UnitMem().observe(graph, [x[:6], x[6:]], activations=True)
    for name, mu in model.activations(x).items():
        kept = found[name].activations
        assert kept is not None
        assert kept.dtype == torch.float32
        torch.testing.assert_close(kept, mu.float())
    assert UnitMem().observe(graph, [x])["one"].activations is None


@torch.no_grad()
def test_dead_units_score_nothing_and_have_no_image() -> None:
    model, graph, x = network("functional")
    model.one.weight[3] = 0
    model.one.bias[3] = -1
    found = UnitMem().observe(graph, [x])["one"]
    assert float(found.values[3]) == 0
    assert int(found.images[3]) == -1
    assert UnitMem()(graph, batches=[x])["one"].argmin() == 3


@torch.no_grad()
def test_a_unit_that_knows_one_image_scores_one_and_one_that_knows_none_from_another_scores_nothing() -> None:
    first = nn.Linear(2, 2)
    first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    first.bias.copy_(torch.tensor([0.0, 2.0]))
    model = nn.Sequential(first, nn.ReLU(), nn.Linear(2, 1))
    x = torch.tensor([[-1.0, 0.0], [3.0, 0.0], [0.0, 5.0]])
    found = UnitMem().observe(trace(model, (x,)), [x])["0"]
    assert found.values.tolist() == [1.0, 0.0]
    assert found.images.tolist() == [1, 0]  # of several with the highest activation, the first


def test_images_are_called_by_their_index_in_the_data_set() -> None:
    model = fill(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 2)))
    view = AugmentedView(image_set(20), ((0.5,) * 3, (0.2,) * 3), ViewOptions(images=9, augmentations=3, batch_size=4))
    found = UnitMem().observe(trace(model, (torch.zeros(2, 3, 8, 8),)), view, activations=True)["0"]
    assert found.activations is not None
    assert found.activations.shape == (9, 6)
    assert found.images.tolist() == view.indices[found.activations.argmax(0)].tolist()
    assert int(found.images.min()) >= 1000


@torch.no_grad()
def test_activations_of_a_view_are_means_over_the_versions_of_an_image() -> None:
    model = fill(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 2)))
    view = AugmentedView(image_set(20), ((0.5,) * 3, (0.2,) * 3), ViewOptions(images=9, augmentations=3, batch_size=4))
    found = UnitMem().observe(trace(model, (torch.zeros(2, 3, 8, 8),)), view, activations=True)["0"]
    x = torch.cat([x for x, _ in view])
    mu = averaged(model.get_submodule("0")(x).relu()).reshape(9, 3, 6).mean(1)
    assert found.activations is not None
    torch.testing.assert_close(found.activations, mu.float())
    for unit in range(6):
        assert abs(float(found.values[unit]) - unit_mem(mu[:, unit].tolist())[0]) < 1e-6


def test_the_view_can_be_made_of_batches() -> None:
    model = fill(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 2)))
    graph = trace(model, (torch.zeros(2, 3, 8, 8),))
    images, options = image_set(20), ViewOptions(images=9, augmentations=2)
    batches = Batches(images, batch_size=5, mean=(0.5,) * 3, std=(0.2,) * 3)
    direct = UnitMem()(graph, AugmentedView(images, ((0.5,) * 3, (0.2,) * 3), options))
    assert torch.equal(UnitMem(augment=options)(graph, batches)["0"], direct["0"])
    with pytest.raises(DataError, match=r"batches of secateurs\.data"):
        UnitMem(augment=options)(graph, [torch.zeros(3, 3, 8, 8)])


def test_every_unit_of_a_cifar_resnet_is_scored_and_kept_as_it_is() -> None:
    model = fill(models.build("resnet20")).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    graph = trace(model, (x[:1],))
    scores = UnitMem()(graph, batches=[(x, torch.zeros(6))])
    branches = sum(len(scores[axis.name]) for axis in graph.axes if axis.kind == "branch" and axis.name[:5] == "layer")
    hidden = sum(len(scores[axis.name]) for axis in graph.axes if axis.name.endswith("conv1") and axis.name != "conv1")
    assert branches + hidden == 672
    assert all(((values >= 0) & (values <= 1)).all() for values in scores.values())
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_prunes_with_plain_batches() -> None:
    model, _, x = network("residual")
    result = prune(
        model, (x[:2],), remove={"units": 0.2}, criterion="unitmem", batches=[x], kinds=("channel", "branch")
    )
    assert result.model(x).shape == (11, 2)
    assert result.plan.removed


def test_half_precision_and_keyword_batches() -> None:
    model, graph, x = network("functional")
    whole = UnitMem()(graph, [x])
    half = UnitMem()(trace(model.bfloat16(), (x[:2].bfloat16(),)), [{"x": x.bfloat16(), "labels": torch.zeros(11)}])
    for name, values in whole.items():
        torch.testing.assert_close(half[name], values, rtol=0, atol=0.05)


class Mixing(Functional):
    """Every image sees the mean of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * torch.arange(1.0, len(x) + 1)[:, None, None, None])


class Deciding(Functional):
    """Code that looks at values."""

    def forward(self, x: Tensor) -> Tensor:
        result = super().forward(x)
        return result if len(x) < 4 else F.relu(result)


def test_refuses_what_it_cannot_tell() -> None:
    x = torch.randn(5, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    with pytest.raises(PlanError, match="do not go with the images"):
        UnitMem()(trace(fill(Mixing()), (x[:2],)), [x])
    with pytest.raises(PlanError, match="2 calls of rectifier"):
        UnitMem()(trace(fill(Deciding()), (x[:2],)), [x])
    _, graph, _ = network("functional")
    with pytest.raises(PlanError, match="2 images or more"):
        UnitMem()(graph, [x[:1]])
    with pytest.raises(PlanError, match="batches to look at"):
        UnitMem()(graph)
    with pytest.raises(PlanError, match="a multiple of 3 rows"):
        UnitMem()(graph, Uneven())
    with pytest.raises(ConfigError, match="rest"):
        UnitMem(rest="most")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at"):
        UnitMem(at="conv")  # type: ignore[arg-type]


class Uneven:
    """Says that three rows belong to each image."""

    augmentations = 3

    def __iter__(self) -> Iterator[Tensor]:
        yield torch.zeros(4, 3, 12, 12)


UNSEEN = {
    "keywords",
    # Rows of the batch are written to places by hand, or lie in packed sequences.
    *("write_rows", "grid_of_units", "lstm_packed", "gru_packed"),
    # Units that only tables, recurrent projections and products of weights with each other make.
    *("learned_queries", "differing", "lstm_projected", "lstm_projected_deep", "product_chain", "state_space_closed"),
    *("product_einsum_three", "product_matmul_batches", "product_matmul_vector"),
    *("derived_adapted_folded", "derived_adapted_sized"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ZOO if name not in UNSEEN])
def test_every_way_to_write_a_network_is_seen(name: str) -> None:
    entry = ZOO[name]
    torch.manual_seed(0)
    model = fill(entry.build()).eval()
    graph = trace(model, entry.arguments(2), entry.keywords(2))
    count = 5 if entry.other_batch else 2
    batch = entry.arguments(count) or entry.keywords(count)
    if len(batch) == 2 and isinstance(batch, tuple):
        pytest.skip("two arguments look like inputs and targets")
    found = UnitMem().observe(graph, [batch])
    assert all(((seen.values >= 0) & (seen.values <= 1)).all() for seen in found.values())
    assert [len(seen.images) for seen in found.values()] == [axis.size for axis in graph.axes]
