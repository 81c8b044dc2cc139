"""Which channels go, with and without training; networks that begin anew; what pruning alone leaves."""

from pathlib import Path
from typing import Any

import pytest
import torch

from secateurs import models, select, trace
from secateurs._errors import ConfigError
from secateurs._files import load_tensors
from secateurs.criteria import Magnitude
from secateurs.graph import Plan
from secateurs.recipes import run
from secateurs.recipes._channels import removed_channels
from secateurs.reporting import channel_difference
from secateurs.surgery import apply, load
from tests.recipes._studies import MEASURE, TRAIN, read_json, recipe

SMALL: dict[str, Any] = {
    "model": {"name": "resnet8", "options": {"width": 0.5, "shortcut": "B"}},
    "batches": {"size": 32, "crop": 1},
    "data": {"name": "digits", "classes": [0, 1, 2, 3, 4], "limit": 300},
}
CHANNELS: dict[str, Any] = {"type": "channels", "levels": [0.3, 0.6], "models": True}


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Channels before any training, then the same cut after some."""
    path = tmp_path_factory.mktemp("runs") / "cut"
    prune = {"type": "prune", "remove": {"params": 0.6}}
    run(
        recipe(
            CHANNELS,
            {**TRAIN, "epochs": 4, "lr": 0.3},
            prune,
            {"type": "reinitialise"},
            {**TRAIN, "name": "scratch"},
            **SMALL,
        ),
        path,
    )
    return path


def test_layers_that_are_cut_together_lose_the_same_places() -> None:
    graph = trace(models.build("resnet8", shortcut="B"), (torch.zeros(1, 3, 32, 32),))
    plan = graph.plan({"layer2.0.conv2": [1, 5], "layer1.0.conv1": [0]})
    channels = removed_channels(graph, plan)
    assert {layer: places for layer, places in channels.items() if places} == {
        "layer1.0.conv1": [0],
        "layer2.0.conv2": [1, 5],
        "layer2.0.shortcut.0": [1, 5],
    }
    assert "linear" not in channels
    assert "conv1" in channels


def test_places_are_those_of_the_network_before_its_first_cut() -> None:
    graph = trace(models.build("mlp", widths=[6, 4], channels=1, size=8), (torch.zeros(1, 1, 8, 8),))
    first = graph.plan({graph.axes[0].name: [0, 2]})
    small = trace(apply(graph.model, first).model, (torch.zeros(1, 1, 8, 8),))
    second = small.plan({small.axes[0].name: [0, 3]})
    (gone,) = [places for places in removed_channels(small, second).values() if places]
    assert gone == [1, 5]


def test_the_channels_of_every_level_and_the_networks_cut_so(cut: Path) -> None:
    folder = cut / "stages" / "00-channels"
    channels = read_json(folder / "channels.json")
    assert list(channels) == ["30", "60"]
    # Without training, what goes at 30 % goes at 60 % too.
    for layer, places in channels["30"].items():
        assert set(places) <= set(channels["60"][layer])
    rows = read_json(cut / "run.json")["stages"][0]["results"]["levels"]
    for row, percent in zip(rows, ("30", "60"), strict=True):
        dense = models.build("resnet8", width=0.5, shortcut="B", channels=1, classes=10)
        small = load(folder / f"pre_ft_pp_{percent}.safetensors", lambda dense=dense: dense)  # type: ignore[misc]
        assert sum(parameter.numel() for parameter in small.parameters()) == row["params"]
        assert row["verified"] < 1e-9


def test_levels_that_cannot_be_reached_say_why(tmp_path: Path) -> None:
    run(recipe({**CHANNELS, "cut": {"floor": 0.5}, "levels": [0.3, 0.9]}, **SMALL), tmp_path)
    first, second = read_json(tmp_path / "run.json")["stages"][0]["results"]["levels"]
    assert first["reached"] is True
    assert second["reached"] is False
    assert "of params" in second["why"]


def test_a_cut_leaves_its_channels_beside_its_plan(cut: Path) -> None:
    before = read_json(cut / "stages/00-channels/channels.json")["60"]
    after = read_json(cut / "stages/02-prune/channels.json")
    assert before.keys() == after.keys()
    assert 0 < channel_difference(before, after) < 1
    plan = Plan.load(cut / "stages/02-prune/plan.json")
    for axis, units in plan.removed.items():
        assert after[axis] == list(units)


def test_a_network_that_begins_anew_has_the_same_sizes_and_other_weights(cut: Path) -> None:
    trained, _ = load_tensors(cut / "stages/02-prune/model.safetensors")
    fresh, _ = load_tensors(cut / "stages/03-reinitialise/model.safetensors")
    assert {name: tensor.shape for name, tensor in fresh.items()} == {
        name: tensor.shape for name, tensor in trained.items()
    }
    for name, tensor in fresh.items():
        if name.endswith("running_mean"):
            assert not tensor.any()
        elif tensor.dim() > 1:
            assert not torch.equal(tensor, trained[name])
            bound = tensor[0].numel() ** -0.5  # of torch's own start
            assert tensor.abs().max() <= bound
    summary = read_json(cut / "run.json")["summary"]
    assert summary["after"]["params"] == read_json(cut / "run.json")["stages"][2]["results"]["after"]["params"]


def test_what_cannot_draw_its_weights_is_named(tmp_path: Path) -> None:
    model = {"factory": "tests.recipes.test_channels:Bare"}
    with pytest.raises(ConfigError, match=r"00-reinitialise: scale: wanted modules that draw .* got Scale"):
        run(recipe({"type": "reinitialise"}, model=model, data={"name": "digits", "limit": 300}), tmp_path)


class Scale(torch.nn.Module):
    """Has a parameter, and no way to make it anew."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Times the weight."""
        return x * self.weight


class Bare(torch.nn.Module):
    """A linear network that scales its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = Scale()
        self.linear = torch.nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores."""
        scores: torch.Tensor = self.linear(self.scale(x.flatten(1)))
        return scores


def test_prune_and_only_infer(tmp_path: Path) -> None:
    run(recipe({"type": "prune", "remove": {"params": 0.5}, "group_floors": "adapt"}, MEASURE, **SMALL), tmp_path)
    state = read_json(tmp_path / "run.json")
    assert state["summary"]["removed"]["params"] >= 0.5
    graph = trace(models.build("resnet8", width=0.5, shortcut="B", channels=1), (torch.zeros(1, 1, 8, 8),))
    plan = Plan.load(tmp_path / "stages/00-prune/plan.json")
    kept = {name: size - len(plan.removed.get(name, ())) for name, size in plan.sizes.items()}
    assert [kept[name] for name in ("conv1", "layer2.0.conv2", "layer3.0.conv2")] >= [4, 8, 16]
    loose = select(graph, Magnitude()(graph), {"params": 0.5})
    assert loose.removed.keys() <= plan.sizes.keys()


def test_group_floors_need_one_ratio() -> None:
    with pytest.raises(ConfigError, match="group_floors"):
        recipe({"type": "prune", "remove": {"params": 0.5, "macs": 0.5}, "group_floors": "adapt"})
