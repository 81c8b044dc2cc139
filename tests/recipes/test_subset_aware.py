"""The comparison of aware and agnostic pruning, run for real on digits, and drawn again."""

import json
import shutil
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from secateurs._errors import DataError
from secateurs.recipes import find_recipe, parse, read_yaml, run
from secateurs.reporting import drawn_as, read_run, subset_log, write_study
from secateurs.reporting._record import member_runs
from secateurs.reporting._subset_pairs import channel_differences
from secateurs.reporting._subset_runs import SubsetRun, removed_sets, subset_runs
from tests.recipes._studies import TRAIN, config, read_json, recipe
from tests.test_cli import call

LOW, HIGH = "0+1+2+3+4", "5+6+7+8+9"
MLP: dict[str, Any] = {"name": "mlp", "options": {"widths": [32, 16]}}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe that is shipped, with a smaller network, at one level."""
    folder = tmp_path_factory.mktemp("aware")
    data = {"name": "digits", "validation_ratio": 0.2}
    run(recipe({**TRAIN, "epochs": 4}, model=MLP, data=data), folder / "dense")
    changes = {
        "model": {**MLP, "weights": str(folder / "dense")},
        "stages.0.prune_after": 1,
        "stages.0.finetune_budget": 3,
        "stages.0.train.rates": [[0, 0.02]],
        "factors.level.80": None,
        "factors.level.90": None,
        "seeds": [0, 1],
        "device": "cpu",
    }
    shipped = parse(read_yaml(find_recipe("subset_aware_small")), source="subset_aware_small", changes=changes)
    run(shipped, folder / "study")
    return folder / "study"


def found(study: Path) -> list[SubsetRun]:
    return subset_runs([each for _, each in member_runs(read_run(study))])


def test_every_way_is_judged_on_both_subsets(study: Path) -> None:
    runs = found(study)
    for subset in (LOW, HIGH):
        ways = [(run.way, run.percent, run.seed) for run in runs if run.subset == subset]
        assert sorted(ways) == sorted(
            (way, 0 if way == "unpruned" else 50, seed)
            for way in ("unpruned", "aware", "retrained", "agnostic", "agnostic_steps")
            for seed in (0, 1)
        )


def test_work_on_all_classes_is_done_once_for_all_subsets(study: Path) -> None:
    agnostic = [folder.name for folder in study.iterdir() if folder.name.startswith("agnostic-")]
    assert agnostic == ["agnostic-50"]
    aware = [each for each in found(study) if each.way == "aware"]
    assert {each.seed for each in aware} == {0, 1}


def test_equal_steps_are_equal(study: Path) -> None:
    """As many images as the subset has, of all classes; what that costs follows."""
    for subset, variant in ((LOW, "low"), (HIGH, "high")):
        aware, paced = (read_json(study / f"{way}-{variant}-50/0/run.json") for way in ("retrained", "agnostic_steps"))
        assert paced["epoch_images"] == subset
        assert "epoch_images" not in aware
        assert "subset" not in paced
        images = [state["stages"][-2]["results"]["gops"]["epoch_images"] for state in (aware, paced)]
        assert images[0] == images[1] < 700
        costs = {run.way: run.train_gops for run in found(study) if run.subset == subset and run.seed == 0}
        assert costs["agnostic_steps"] == costs["retrained"]
        assert costs["aware"] is not None
        assert costs["retrained"] is not None
        assert costs["retrained"] < costs["aware"]
        assert costs["unpruned"] == 0


def test_costs_are_those_of_the_epochs_before_and_after_the_cut(study: Path) -> None:
    state = read_json(study / "aware-low-50/0/run.json")
    gops = state["stages"][-2]["results"]["gops"]
    wanted = gops["unpruned"]["training_gops"]["epoch"] + 2 * gops["pruned"]["training_gops"]["epoch"]
    (run,) = [each for each in found(study) if (each.way, each.subset, each.seed) == ("aware", LOW, 0)]
    assert run.train_gops == pytest.approx(wanted)
    assert run.mb == pytest.approx(gops["pruned"]["memory_mb"]["parameters"])


def test_a_cut_before_training_is_the_same_for_all(study: Path) -> None:
    """It is compared once with what each fine-tuned network loses."""
    sets = removed_sets([each for _, each in member_runs(read_run(study))])
    first = [each for each in sets if each.before is None]
    assert len(first) == 1
    everything = read_json(study / "retrained-high-50/1/stages/00-prune/channels.json")
    assert first[0].channels == everything
    kinds = {each.kind: each for each in channel_differences(sets)}
    assert set(kinds) == {
        f"{LOW} and all classes",
        f"{HIGH} and all classes",
        f"{LOW} and {HIGH}",
        f"two seeds, {LOW}",
        f"two seeds, {HIGH}",
    }
    assert all(0 <= value <= 1 for each in kinds.values() for value in each.values)
    assert len(kinds[f"{LOW} and {HIGH}"].values) == 2


def test_the_study_is_drawn_when_it_ends_and_again_in_other_formats(study: Path) -> None:
    names = {"subset_accuracy", "subset_accuracy_among", "subset_training", "subset_norms", "subset_channels"}
    pictures = {path.stem: path.read_bytes() for path in (study / "plots").glob("*.png")}
    assert set(pictures) == names
    table = (study / "subsets.md").read_bytes()
    for path in (study / "subsets.md", *(study / "plots").iterdir()):
        path.unlink()
    write_study(study)
    assert {path.stem: path.read_bytes() for path in (study / "plots").glob("*.png")} == pictures
    assert (study / "subsets.md").read_bytes() == table
    with drawn_as("svg"):
        assert {path.name for path in write_study(study)} == {f"{name}.svg" for name in names}


def test_plot_draws_the_runs_of_a_study_too(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(study / "aware-low-50/0", tmp_path / "aware-low-50/0")
    state = read_json(study / "run.json")
    state["runs"] = [member for member in state["runs"] if member["path"] == "aware-low-50/0"]
    (tmp_path / "run.json").write_text(json.dumps(state))
    assert call("plot", str(tmp_path), "--format", "png", "--format", "svg") == 0
    lines = capsys.readouterr().out.splitlines()
    for path in ("plots/subset_accuracy", "aware-low-50/0/plots/kept", "aware-low-50/0/plots/training"):
        for form in ("png", "svg"):
            assert str(tmp_path / f"{path}.{form}") in lines
            assert (tmp_path / f"{path}.{form}").exists()


def test_runs_in_several_places_are_compared_together(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [str(study / name) for name in ("unpruned", "aware-low-50", "agnostic-50")]
    assert call("plot", *parts, "--together", str(tmp_path / "both"), "--format", "pdf") == 0
    assert (tmp_path / "both/plots/subset_accuracy.pdf").read_bytes().startswith(b"%PDF")
    text = (tmp_path / "both/subsets.md").read_text()
    assert "less agnostic" in text
    assert "retrained" not in text
    assert str(tmp_path / "both/plots/subset_accuracy.pdf") in capsys.readouterr().out


def test_classes_that_are_not_there_are_no_pace(tmp_path: Path) -> None:
    few = config(TRAIN, data={"name": "digits", "limit": 300, "classes": [0, 1]}, batches={"epoch_images": [7]})
    with pytest.raises(DataError, match=r"data\.classes: wanted classes among 0\+1, got 7"):
        run(parse(few, source="x"), tmp_path / "run")


def test_the_log_has_time_stamps_and_keeps_ways_apart(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = subset_log([study])["mlp"]
    begun = [
        read_json(study / f"{way}-low-50/{seed}/run.json")["started"]
        for way in ("aware", "retrained")
        for seed in (0, 1)
    ]
    assert log[LOW]["50"] == sorted(begun)
    assert log[LOW]["base_path"] == str(study)
    means = {
        name: fmean(run.accuracy for run in found(study) if (run.way, run.subset) == (way, LOW))
        for way, name in (("aware", f"{LOW}_inference"), ("retrained", f"{LOW}_inference_cut_first"))
    }
    assert {name: log[LOW][name][percent] for name in means for percent in log[LOW][name]} == pytest.approx(means)
    agnostic, paced = (log["entire_dataset"][f"{LOW}_inference{kind}"] for kind in ("", "_paced"))
    for figures, way in ((agnostic, "agnostic"), (paced, "agnostic_steps")):
        wanted = fmean(run.accuracy for run in found(study) if (run.way, run.subset) == (way, LOW))
        assert list(figures.values()) == [pytest.approx(wanted)]
    assert call("runs", "--json", str(study)) == 0
    (entry,) = json.loads(capsys.readouterr().out)["runs"]
    cut = next(one for one in entry["runs"] if one["path"].endswith("aware-low-50/0"))
    assert (cut["network"], cut["subset"], cut["percent"]) == ("mlp", LOW, 50)
    assert cut["started"] in log[LOW]["50"]
