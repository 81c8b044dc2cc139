"""Recipes about some classes, and recipes that begin with what another run has left."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from secateurs import models
from secateurs._errors import ConfigError, DataError
from secateurs._files import load_tensors
from secateurs.cli import main
from secateurs.data import SPLIT_FILE, Division
from secateurs.recipes import Recipe, RunOptions, parse, run
from secateurs.recipes._weights import weights_file
from secateurs.reporting import subset_log
from secateurs.surgery import load
from tests.recipes._studies import PRUNE, TRAIN, config, read_json, weights

REAL = Path(os.environ.get("SECATEURS_DATA", ""))
CLASSES = [0, 1, 2, 3, 4]
MEASURE: dict[str, Any] = {"type": "measure", "latency": False}
DATA: dict[str, Any] = {"name": "digits", "classes": CLASSES, "validation_ratio": 0.2}
WHOLE: dict[str, Any] = {"name": "digits", "validation_ratio": 0.2}
MLP: dict[str, Any] = {"name": "mlp", "options": {"widths": [32, 16]}}


def study(*stages: dict[str, Any], **values: Any) -> Recipe:
    measured = any("latency" in stage for stage in stages)
    end = [] if measured else [MEASURE]
    made = {**config(**{"data": DATA, "model": MLP, **values}), "stages": [*stages, *end]}
    return parse(made, source="small.yaml")


def after(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(folder / "run.json")["summary"]["after"]
    return found


def network(classes: int = 10) -> nn.Module:
    return models.build("mlp", classes=classes, channels=1, size=8, widths=(32, 16))


def again(folder: Path, last: str) -> None:
    """Make a run forget its last stages, as if it had been killed in `last`."""
    state = read_json(folder / "run.json")
    names = [stage["name"] for stage in state["stages"]]
    for stage in state["stages"][names.index(last) :]:
        stage.update(status="waiting", results={})
    (folder / "run.json").write_text(json.dumps({**state, "status": "failed", "error": "interrupted by SIGTERM"}))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on all classes that prunes, and measures on subsets at its end."""
    folder = tmp_path_factory.mktemp("runs") / "all"
    subsets = {**MEASURE, "subsets": [CLASSES, "entire_dataset", [7]]}
    run(study(TRAIN | {"epochs": 4}, PRUNE, TRAIN, subsets, data=WHOLE), folder)
    return folder


def test_accuracy_is_measured_among_all_classes_and_among_those_of_the_subset(tmp_path: Path) -> None:
    run(study(TRAIN | {"epochs": 4}, PRUNE, TRAIN), tmp_path / "run")
    found, state = after(tmp_path / "run"), read_json(tmp_path / "run/run.json")
    assert found["test_accuracy_among"] >= found["test_accuracy"] > 0.5
    assert (state["subset"], state["classes"]) == ("0+1+2+3+4", ["0", "1", "2", "3", "4"])
    assert "trained_on" not in state
    model = load(weights_file(tmp_path / "run"), network)
    assert model(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


@pytest.mark.parametrize("head", ["all", "subset"])
def test_a_resumed_run_on_a_subset_ends_with_the_same_bytes(head: str, tmp_path: Path) -> None:
    made = study(TRAIN, PRUNE, {**TRAIN, "name": "retrain"}, model={**MLP, "head": head})
    run(made, tmp_path / "run")
    before = weights(tmp_path / "run")
    for stage in ("02-retrain", "01-prune"):
        again(tmp_path / "run", stage)
        run(made, tmp_path / "run", RunOptions(resume=True))
        assert weights(tmp_path / "run") == before


def test_a_resumed_run_keeps_its_split(tmp_path: Path) -> None:
    made = study(TRAIN, {**TRAIN, "name": "more"})
    run(made, tmp_path / "run")
    file = tmp_path / "run" / SPLIT_FILE
    division = Division.load(file)
    moved = division.train.clone()
    moved[division.rows().validation] = 1  # the split of a run need not be what the options give today
    Division(train=moved, test=None, name="digits", labels=division.labels, mean=(0.4,), std=(0.5,)).save(file)
    again(tmp_path / "run", "01-more")
    run(made, tmp_path / "run", RunOptions(resume=True))
    assert torch.equal(Division.load(file).train, moved)
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [row["validation_accuracy"] is None for row in rows] == [False] * 2 + [True] * 2


def test_another_run_takes_its_part_of_the_split(everything: Path, tmp_path: Path) -> None:
    run(study(TRAIN, data={"name": "digits", "classes": CLASSES, "split_from": str(everything)}), tmp_path / "run")
    one, other = (Division.load(folder / SPLIT_FILE) for folder in (everything, tmp_path / "run"))
    assert torch.equal(one.train, other.train)
    assert (one.mean, one.std) == (other.mean, other.std)


def test_a_sliced_head_gives_the_scores_of_the_whole_one(everything: Path, tmp_path: Path) -> None:
    """Pretrained on everything, cut, then sliced to the subset; and resumed after that."""
    made = study(TRAIN | {"epochs": 1}, PRUNE, model={**MLP, "weights": str(everything), "head": "subset"})
    run(made, tmp_path / "run")
    state = read_json(tmp_path / "run/run.json")
    assert state["trained_on"] == "entire_dataset"
    assert "test_accuracy_among" not in after(tmp_path / "run")
    still = study(model={**MLP, "weights": str(everything), "head": "subset"})
    run(still, tmp_path / "still")
    plain = study(model={**MLP, "weights": str(everything)})
    run(plain, tmp_path / "plain")
    assert after(tmp_path / "still")["test_accuracy"] == after(tmp_path / "plain")["test_accuracy_among"]
    assert (
        after(tmp_path / "plain")["params"] - after(tmp_path / "still")["params"] == 5 * _last(everything).shape[1] + 5
    )
    before = weights(tmp_path / "run")
    again(tmp_path / "run", "01-prune")
    run(made, tmp_path / "run", RunOptions(resume=True))
    assert weights(tmp_path / "run") == before
    assert load(weights_file(tmp_path / "run"), network)(torch.zeros(1, 1, 8, 8)).shape == (1, 5)


def _last(folder: Path) -> torch.Tensor:
    tensors, _ = load_tensors(weights_file(folder))
    return tensors["head.weight"]


def test_a_cut_model_of_another_run_is_cut_further_and_resumed(everything: Path, tmp_path: Path) -> None:
    made = study(PRUNE, TRAIN, model={**MLP, "weights": str(weights_file(everything))}, data=WHOLE)
    run(made, tmp_path / "run")
    first = read_json(tmp_path / "run/run.json")["stages"][0]["results"]["before"]
    assert first["params"] == after(everything)["params"]
    assert first["test_accuracy"] == after(everything)["test_accuracy"]
    before = weights(tmp_path / "run")
    again(tmp_path / "run", "01-train")
    run(made, tmp_path / "run", RunOptions(resume=True))
    assert weights(tmp_path / "run") == before


def test_one_model_is_measured_on_many_subsets(everything: Path, tmp_path: Path) -> None:
    found = read_json(everything / "run.json")["stages"][-1]["results"]["subsets"]
    assert list(found) == ["0+1+2+3+4", "entire_dataset", "7"]
    assert found["entire_dataset"]["test_accuracy"] == after(everything)["test_accuracy"]
    assert "test_accuracy_among" not in found["entire_dataset"]
    assert found["7"]["test_accuracy_among"] == 1.0
    run(study(model={**MLP, "weights": str(everything)}), tmp_path / "run")
    alone = after(tmp_path / "run")
    assert found["0+1+2+3+4"] == {name: alone[name] for name in found["0+1+2+3+4"]}


def test_the_log_of_runs_says_how_well_networks_do_on_subsets(
    everything: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unpruned on a subset, and pruned elsewhere: on all classes, without any training here."""
    run(study(model={**MLP, "weights": str(everything)}), tmp_path / "elsewhere")
    run(study(), tmp_path / "unpruned")
    log = subset_log([tmp_path / "elsewhere", tmp_path / "unpruned"])["mlp"]
    elsewhere, unpruned = after(tmp_path / "elsewhere"), after(tmp_path / "unpruned")
    lost = 1 - elsewhere["params"] / unpruned["params"]
    assert log["entire_dataset"] == {
        "0+1+2+3+4_inference": {str(round(100 * lost)): 100 * elsewhere["test_accuracy"]},
        "0+1+2+3+4_inference_among": {str(round(100 * lost)): 100 * elsewhere["test_accuracy_among"]},
    }
    assert log["0+1+2+3+4"]["unpruned_inference"] == {
        "test_top1": 100 * unpruned["test_accuracy"],
        "test_top1_among": 100 * unpruned["test_accuracy_among"],
        "gops": pytest.approx(2e-9 * unpruned["macs"]),
    }
    with pytest.raises(SystemExit, match="0"):
        main(["runs", str(everything), str(tmp_path), "--subsets"])
    assert set(json.loads(capsys.readouterr().out)["mlp"]) == {"entire_dataset", "0+1+2+3+4"}


def test_heads_of_other_classes_are_refused(everything: Path, tmp_path: Path) -> None:
    sliced = {**MLP, "weights": str(everything), "head": "subset"}
    run(study(TRAIN | {"epochs": 1}, model=sliced), tmp_path / "sliced")
    begin: dict[str, Any] = {**MLP, "weights": str(tmp_path / "sliced")}
    with pytest.raises(ConfigError, match=r"wanted a network that tells all classes apart, got one with a head for 5"):
        run(study(model=begin), tmp_path / "a")
    with pytest.raises(ConfigError, match=r"that tells these classes apart, got .* for 5 classes \(0, 1, 2, 3, 4\)"):
        run(study(model=begin | {"head": "subset"}, data=DATA | {"classes": [4, 5]}), tmp_path / "b")
    run(study(model=begin | {"head": "subset"}), tmp_path / "c")
    assert after(tmp_path / "c")["test_accuracy"] == after(tmp_path / "sliced")["test_accuracy"]
    run(study(model=begin | {"head": "subset"}, data=DATA | {"classes": [1, 3]}), tmp_path / "d")
    assert read_json(tmp_path / "d/run.json")["trained_on"] == "0+1+2+3+4"
    assert after(tmp_path / "d")["test_accuracy"] >= 0.5


def test_mistakes_are_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`data\.classes` .*because model\.head is subset"):
        study(model={**MLP, "head": "subset"}, data=WHOLE)
    with pytest.raises(DataError, match=r"data\.classes: wanted a class, .* got 'one'"):
        run(study(data=DATA | {"classes": ["one"]}), tmp_path / "a")
    with pytest.raises(DataError, match=r"data\.classes: wanted classes among 0\+1\+2\+3\+4, got 7"):
        run(study(TRAIN, {**MEASURE, "subsets": [[7]]}), tmp_path / "b")
    with pytest.raises(ConfigError, match=r"model\.weights: wanted a file, or the directory of a run whose stages"):
        run(study(model={**MLP, "weights": str(tmp_path)}), tmp_path / "c")
    with pytest.raises(DataError, match=r"data\.classes: wanted a name, or a list that is not empty"):
        study(data=DATA | {"classes": []})


@pytest.mark.slow
@pytest.mark.skipif(not (REAL / "cifar100").is_dir(), reason="SECATEURS_DATA names no folder with cifar100")
def test_real_cifar100_subset_aware(tmp_path: Path) -> None:
    """A network for all 100 classes, cut and trained on the aquatic ones, then measured on a part of these."""
    data = {"path": str(REAL / "cifar100"), "classes": "aquatic", "validation_ratio": 0.2, "limit": 6000}
    data |= {"mean": [0.4914, 0.4822, 0.4465], "std": [0.2023, 0.1994, 0.2010]}
    stages = ({**TRAIN, "epochs": 1}, PRUNE, {**TRAIN, "epochs": 1}, {**MEASURE, "subsets": ["fish"]})
    model = {"name": "resnet8", "options": {"width": 0.5}}
    run(study(*stages, data=data, model=model), tmp_path / "all")
    state = read_json(tmp_path / "all/run.json")
    assert (state["subset"], len(state["classes"])) == ("aquatic", 10)
    fish = state["stages"][-1]["results"]["subsets"]["fish"]
    assert fish["test_images"] < after(tmp_path / "all")["test_images"]
    assert after(tmp_path / "all")["test_accuracy_among"] >= after(tmp_path / "all")["test_accuracy"] > 0.1
    sliced = {**model, "weights": str(tmp_path / "all"), "head": "subset"}
    run(study(data=data, model=sliced), tmp_path / "sliced")
    assert after(tmp_path / "sliced")["test_accuracy"] == after(tmp_path / "all")["test_accuracy_among"]


class Own(nn.Module):
    """A network that no table knows."""

    def __init__(self, outputs: int = 10) -> None:
        super().__init__()
        self.body, self.end = nn.Conv2d(1, 6, 3), nn.Conv2d(6, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.end(self.body(x).relu()).mean((2, 3))
        return pooled


def test_the_head_of_any_network_is_sliced(tmp_path: Path) -> None:
    model = {"factory": "tests.recipes.test_subset:Own", "head": "subset"}
    run(study(TRAIN, PRUNE, model=model), tmp_path / "run")
    assert load(weights_file(tmp_path / "run"), Own)(torch.zeros(2, 1, 8, 8)).shape == (2, 5)
