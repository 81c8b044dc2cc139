"""Whole runs: what they leave behind, and that they depend on recipe and seed alone."""

import math
from pathlib import Path

import pytest
import torch

from secateurs import SecateursError, models
from secateurs._files import load_tensors
from secateurs.cost import cost
from secateurs.data import DataOptions
from secateurs.graph import Plan
from secateurs.recipes import RunOptions, run
from secateurs.surgery import load
from tests.data.making import load_held
from tests.recipes._studies import PRUNE, TRAIN, config, epochs, read_json, recipe, weights


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: train, prune, train, measure."""
    path = tmp_path_factory.mktemp("runs") / "small"
    run(recipe(TRAIN, PRUNE, {**TRAIN, "name": "retrain"}), path)
    return path


def test_the_run_directory_is_as_designed(finished: Path) -> None:
    files = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    stages = {
        "00-train": {"model.safetensors"},
        "01-prune": {"model.safetensors", "plan.json", "channels.json", "scores.safetensors"},
    }
    stages |= {"02-retrain": {"model.safetensors"}, "03-measure": set()}
    wanted = {f"stages/{stage}/{name}" for stage, names in stages.items() for name in (*names, "metrics.json")}
    wanted |= {"config.yaml", "graph.json", "run.json", "metrics.jsonl", "split.safetensors"}
    wanted |= {"plots/training.png", "plots/kept.png", "report.html"}
    assert files == wanted


def test_run_json_says_what_was_done_and_where(finished: Path) -> None:
    state = read_json(finished / "run.json")
    assert (state["status"], state["error"], state["seed"]) == ("finished", None, 0)
    assert [stage["name"] for stage in state["stages"]] == ["00-train", "01-prune", "02-retrain", "03-measure"]
    assert all(stage["status"] == "finished" and stage["seconds"] > 0 for stage in state["stages"])
    assert state["versions"]["torch"] == torch.__version__
    assert state["environment"]["threads"] == 1
    for stage in state["stages"]:
        assert read_json(finished / "stages" / stage["name"] / "metrics.json") == stage["results"]


def test_the_summary_is_true_of_the_saved_models(finished: Path) -> None:
    summary = read_json(finished / "run.json")["summary"]
    splits = load_held(DataOptions(name="digits", limit=300))
    x = torch.zeros(1, 1, 8, 8)
    for side, stage in (("before", "00-train"), ("after", "02-retrain")):
        model = load(finished / "stages" / stage / "model.safetensors", _dense).eval()
        counted = cost(model, args=(x,))
        assert summary[side]["params"] == sum(p.numel() for p in model.parameters()) == counted.params
        assert (summary[side]["macs"], summary[side]["bytes"]) == (counted.macs, counted.bytes)
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (splits.mean, splits.std))
        with torch.no_grad():
            right = model((splits.test.images / 255 - mean) / std).argmax(1) == splits.test.labels
        assert summary[side]["test_accuracy"] == pytest.approx(right.double().mean().item())
        assert summary[side]["latency_ms"] == summary[side]["latency"][0]["median_ms"] > 0
        assert [row["batch_size"] for row in summary[side]["latency"]] == [1, 8]
    removed = 1 - summary["after"]["macs"] / summary["before"]["macs"]
    assert summary["removed"]["macs"] == pytest.approx(removed)
    assert removed >= summary["asked"]["macs"] == 0.4
    assert 0 <= summary["verified"] < 1e-9


def _dense() -> torch.nn.Module:
    return models.build("mlp", classes=10, channels=1, size=8, widths=(32, 16))


def test_every_epoch_has_one_line(finished: Path) -> None:
    assert epochs(finished) == [(stage, epoch) for stage in ("00-train", "02-retrain") for epoch in (0, 1)]


def test_equal_recipes_give_equal_bytes_and_another_seed_other_ones(finished: Path, tmp_path: Path) -> None:
    stages = (TRAIN, PRUNE, {**TRAIN, "name": "retrain"})
    run(recipe(*stages), tmp_path / "again")
    run(recipe(*stages, seed=1), tmp_path / "other")
    assert weights(tmp_path / "again") == weights(finished)
    assert (
        weights(tmp_path / "other")["stages/00-train/model.safetensors"]
        != weights(finished)["stages/00-train/model.safetensors"]
    )


def test_resuming_a_finished_run_does_nothing_and_says_so(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    told: list[str] = []
    run(recipe(TRAIN, PRUNE, {**TRAIN, "name": "retrain"}), finished, RunOptions(resume=True, notify=told.append))
    assert told == [f"{finished} is finished already; nothing to do"]
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


def test_rounds_remove_of_what_is_left(tmp_path: Path) -> None:
    rounds = {"type": "repeat", "times": 2, "stages": [{**PRUNE, "remove": {"params": 0.3}}, {**TRAIN, "epochs": 1}]}
    summary = run(recipe(TRAIN, rounds), tmp_path / "run")["summary"]
    assert summary["asked"]["params"] == pytest.approx(1 - 0.7 * 0.7)
    removed = 1 - summary["after"]["params"] / summary["before"]["params"]
    assert summary["removed"]["params"] == pytest.approx(removed)
    assert removed >= 1 - 0.7 * 0.7
    small = load(tmp_path / "run" / "stages" / "04-train" / "model.safetensors", _dense)
    assert sum(p.numel() for p in small.parameters()) == summary["after"]["params"]


def test_a_kept_optimizer_is_cut_along_and_goes_on(tmp_path: Path) -> None:
    last = {**TRAIN, "epochs": 1}
    run(recipe(TRAIN, {**PRUNE, "keep_optimizer": True}, last), tmp_path / "kept")
    run(recipe(TRAIN, PRUNE, last), tmp_path / "fresh")
    dense, _ = load_tensors(tmp_path / "kept" / "stages" / "00-train" / "optimizer.safetensors")
    cut, _ = load_tensors(tmp_path / "kept" / "stages" / "01-prune" / "optimizer.safetensors")
    plan = Plan.load(tmp_path / "kept" / "stages" / "01-prune" / "plan.json")
    assert dense.keys() == cut.keys()
    for key, momentum in dense.items():
        assert momentum.abs().sum() > 0
        for dim, kept in enumerate(plan.kept(key.rpartition(":")[0])):
            momentum = momentum.index_select(dim, kept)
        assert torch.equal(momentum, cut[key])
    with_it, without = weights(tmp_path / "kept"), weights(tmp_path / "fresh")
    assert with_it["stages/01-prune/model.safetensors"] == without["stages/01-prune/model.safetensors"]
    assert with_it["stages/02-train/model.safetensors"] != without["stages/02-train/model.safetensors"]


def test_the_callers_threads_and_random_numbers_are_left_alone(tmp_path: Path) -> None:
    before, random = torch.get_num_threads(), torch.get_rng_state()
    run(recipe({**TRAIN, "epochs": 1}, threads=before + 1), tmp_path / "run")
    assert read_json(tmp_path / "run" / "run.json")["environment"]["threads"] == before + 1
    assert torch.get_num_threads() == before
    assert torch.equal(torch.get_rng_state(), random)


def test_a_recipe_without_a_cut_measures_what_it_trained(tmp_path: Path) -> None:
    state = run(recipe(TRAIN), tmp_path / "run")
    assert state["summary"]["before"] is None
    assert state["summary"]["after"]["test_accuracy"] == state["stages"][0]["results"]["test_accuracy"]


def test_a_cut_first_run_starts_from_the_given_weights(finished: Path, tmp_path: Path) -> None:
    file = finished / "stages" / "00-train" / "model.safetensors"
    model = {**config()["model"], "weights": str(file)}
    state = run(recipe(PRUNE, model=model), tmp_path / "run")
    assert (
        state["summary"]["before"]["test_accuracy"]
        == read_json(finished / "run.json")["summary"]["before"]["test_accuracy"]
    )


def test_weights_of_another_network_are_refused(finished: Path, tmp_path: Path) -> None:
    file = finished / "stages" / "00-train" / "model.safetensors"
    model = {"name": "mlp", "options": {"widths": [32, 8]}, "weights": str(file)}
    with pytest.raises(SecateursError, match=r"model\.safetensors: wanted the 6 tensors of this MLP, got .*shape"):
        run(recipe(PRUNE, model=model), tmp_path / "run")


def test_a_run_that_fails_says_why_and_resumes_from_there(tmp_path: Path) -> None:
    impossible = {**PRUNE, "remove": {"macs": 0.999}, "floor": 8}
    with pytest.raises(SecateursError) as caught:
        run(recipe(TRAIN, impossible), tmp_path / "run")
    state = read_json(tmp_path / "run" / "run.json")
    assert (state["status"], state["error"]) == ("failed", str(caught.value))
    assert [stage["status"] for stage in state["stages"]] == ["finished", "running", "waiting"]
    before = weights(tmp_path / "run")
    with pytest.raises(SecateursError):
        run(recipe(TRAIN, impossible), tmp_path / "run", RunOptions(resume=True))
    assert weights(tmp_path / "run") == before


def test_a_criterion_that_does_not_exist_is_refused_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(SecateursError, match="magnitude"):
        run(recipe(TRAIN, {**PRUNE, "criterion": "magnitud"}), tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


def test_missing_data_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(SecateursError, match="nowhere"):
        run(recipe(TRAIN, data={"path": str(tmp_path / "nowhere")}), tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_losses_are_finite_numbers_in_the_log(finished: Path) -> None:
    state = read_json(finished / "run.json")
    assert all(math.isfinite(stage["results"].get("train_accuracy", 0.0)) for stage in state["stages"])
