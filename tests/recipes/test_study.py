"""Variants and seeds: ordinary runs, and a table over them."""

import statistics
from pathlib import Path

import pytest

from secateurs.recipes import RunOptions, run
from secateurs.recipes._study import members
from tests.recipes._studies import TRAIN, read_json, recipe, weights

SHORT = {**TRAIN, "epochs": 1}
VARIANTS = {"slow": {"stages.0.lr": 0.001}, "fast": {"stages.0.lr": 0.05}}


def test_members_are_variants_times_seeds_with_their_values() -> None:
    study = members(recipe(SHORT, variants=VARIANTS, seeds=[3, 5]))
    assert [member.folder for member in study] == ["slow/3", "slow/5", "fast/3", "fast/5"]
    assert [member.recipe.seed for member in study] == [3, 5, 3, 5]
    assert [member.recipe.resolved()["stages"][0]["lr"] for member in study] == [0.001, 0.001, 0.05, 0.05]
    assert all(member.recipe.variants is None and member.recipe.seeds is None for member in study)


def test_a_study_is_ordinary_runs_and_a_table(tmp_path: Path) -> None:
    whole = recipe(SHORT, variants=VARIANTS, seeds=[0, 1])
    state = run(whole, tmp_path / "study")
    assert state == read_json(tmp_path / "study" / "run.json")
    assert state["status"] == "finished"
    found = {}
    for entry in state["runs"]:
        inner = read_json(tmp_path / "study" / entry["path"] / "run.json")
        assert (inner["status"], inner["seed"]) == ("finished", entry["seed"])
        found[entry["variant"], entry["seed"]] = inner["summary"]["after"]["test_accuracy"]
    for variant in VARIANTS:
        values = [found[variant, 0], found[variant, 1]]
        row = state["summary"]["variants"][variant]["after"]["test_accuracy"]
        assert row["mean"] == pytest.approx(statistics.fmean(values))
        assert row["spread"] == pytest.approx(statistics.stdev(values))
        assert row["runs"] == 2
    run(members(whole)[1].recipe, tmp_path / "alone")
    assert weights(tmp_path / "alone") == weights(tmp_path / "study" / "slow" / "1")


def test_an_interrupted_study_goes_on_where_it_stopped(tmp_path: Path) -> None:
    study = recipe(SHORT, seeds=[0, 1])

    def stop(line: str) -> None:
        if line.startswith("run 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(study, tmp_path / "study", RunOptions(notify=stop))
    state = read_json(tmp_path / "study" / "run.json")
    assert (state["status"], state["error"]) == ("failed", "interrupted")
    first = tmp_path / "study" / "base" / "0" / "run.json"
    before = first.read_bytes()
    assert run(study, tmp_path / "study", RunOptions(resume=True))["status"] == "finished"
    assert first.read_bytes() == before
    assert state["summary"]["variants"]["base"]["after"]["test_accuracy"]["runs"] == 1
