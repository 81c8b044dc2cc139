"""The stage `gops`, and rates beside latencies."""

from pathlib import Path
from typing import Any

import pytest
import torch

from secateurs import models
from secateurs.cost import cost, training_cost
from secateurs.recipes import RunOptions, run
from secateurs.surgery import load
from tests.recipes._studies import PRUNE, TRAIN, read_json, recipe

GOPS: dict[str, Any] = {"type": "gops"}
QUICK: dict[str, Any] = {**TRAIN, "epochs": 1}


def _dense() -> torch.nn.Module:
    return models.build("mlp", classes=10, channels=1, size=8, widths=(32, 16))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Counted before and after a cut, and measured with one thread."""
    path = tmp_path_factory.mktemp("gops") / "small"
    run(recipe({**GOPS, "name": "dense"}, QUICK, PRUNE, {**GOPS, "minibatch": 5}, threads=2), path)
    return path


def test_a_design_before_any_cut(finished: Path) -> None:
    """By hand: 64 inputs, 32 and 16 units, 10 classes."""
    counted = read_json(finished / "stages" / "00-dense" / "gops.json")
    forward, first = 2 * (64 * 32 + 32 * 16 + 16 * 10), 2 * 64 * 32
    image = (3 * forward - first + 32 + 16 + 10) / 1e9
    assert counted["pruned"] is None
    assert (counted["minibatch"], counted["epoch_images"]) == (32, 270)
    dense = counted["unpruned"]
    assert dense["inference_gops"]["image"] == pytest.approx(forward / 1e9)
    assert dense["inference_gops"]["minibatch"] == pytest.approx(32 * forward / 1e9)
    assert dense["training_gops"]["image"] == pytest.approx(image)
    assert dense["training_gops"]["minibatch"] == pytest.approx(32 * image)
    assert dense["training_gops"]["epoch"] == pytest.approx(270 * image)
    assert dense["memory_mb"]["parameters"] == pytest.approx(4 * dense["params"] / 1e6)
    assert counted["inf"] == dense["inference_gops"]["minibatch"]
    assert counted["ft"] == {"unpruned": dense["training_gops"]["epoch"], "pruned": None}
    assert counted["mem"] == {"unpruned": dense["memory_mb"]["parameters"], "pruned": None}


def test_both_designs_after_a_cut(finished: Path) -> None:
    counted = read_json(finished / "stages" / "03-gops" / "gops.json")
    before = read_json(finished / "stages" / "00-dense" / "gops.json")["unpruned"]
    small = load(finished / "stages" / "02-prune" / "model.safetensors", _dense)
    image = training_cost(small, torch.zeros(1, 1, 8, 8))
    assert counted["unpruned"]["training_gops"]["epoch"] == pytest.approx(before["training_gops"]["epoch"])
    assert counted["unpruned"]["layers"] == before["layers"]
    pruned = counted["pruned"]
    assert pruned["training_gops"]["image"] == pytest.approx(image.image_gops)
    assert pruned["inference_gops"]["minibatch"] == pytest.approx(5 * image.inference_gops) == counted["inf"]
    assert pruned["memory_mb"]["parameters"] == pytest.approx(4 * sum(p.numel() for p in small.parameters()) / 1e6)
    assert counted["ft"]["pruned"] == pruned["training_gops"]["epoch"] < counted["ft"]["unpruned"]


def test_the_results_say_the_same_without_layers(finished: Path) -> None:
    counted = read_json(finished / "stages" / "03-gops" / "gops.json")
    said = read_json(finished / "stages" / "03-gops" / "metrics.json")["gops"]
    for side in ("unpruned", "pruned"):
        assert counted[side].items() >= said[side].items()
        assert set(counted[side]) - set(said[side]) == {"layers"}


def test_an_epoch_costs_the_same_whatever_the_minibatch(tmp_path: Path) -> None:
    epochs = set()
    for size in (7, 64):
        run(recipe(GOPS, batches={"size": size}), tmp_path / str(size))
        epochs.add(read_json(tmp_path / str(size) / "stages" / "00-gops" / "gops.json")["ft"]["unpruned"])
    assert len(epochs) == 1


def test_latencies_carry_rate_and_threads(finished: Path) -> None:
    """As many threads as the run has, unless the stage says otherwise; the number is put back."""
    measured = read_json(finished / "run.json")["stages"][-1]["results"]
    macs = {"before": cost(_dense(), torch.zeros(1, 1, 8, 8)).macs, "after": measured["after"]["macs"]}
    for side, count in macs.items():
        for row in measured[side]["latency"]:
            assert row["gops_per_s"] == pytest.approx(2 * count * row["batch_size"] / row["median_ms"] / 1e6)
            assert row["threads"] == 2
        assert measured[side]["latency_on"].endswith("2 threads")


def test_latency_with_another_number_of_threads(tmp_path: Path) -> None:
    alone = {"type": "measure", "batch_sizes": [1], "threads": 1}
    run(recipe(alone, threads=2), tmp_path / "run", options=RunOptions())
    first, second = read_json(tmp_path / "run" / "run.json")["stages"]
    assert [row["threads"] for row in first["results"]["after"]["latency"]] == [1]
    assert [row["threads"] for row in second["results"]["after"]["latency"]] == [2, 2]
