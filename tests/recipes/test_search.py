"""Searches for the largest removal, on digits."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import secateurs.recipes._session as session_module
from secateurs._errors import ConfigError
from secateurs.data import ImageSet, Splits, load
from secateurs.recipes import Recipe, RunOptions, run
from secateurs.recipes._session import Session
from secateurs.recipes.stages._search_probe import Probes
from tests.recipes._studies import TRAIN, read_json, recipe
from tests.recipes.test_kill import essence

LEVELS = [0.1, 0.3, 0.5, 0.7, 0.9]
SEARCH: dict[str, Any] = {
    "type": "search",
    "levels": LEVELS,
    "target": 0.97,
    "finetune_budget": 4,
    "train": {"lr": 0.02},
}
CLASSES = [0, 1, 2, 3, 4]


def study(**changes: Any) -> Recipe:
    """A network trained on digits 0 to 4, and a search over five levels."""
    data = {"name": "digits", "classes": CLASSES, "validation_ratio": 0.3}
    return recipe({**TRAIN, "epochs": 4}, {**SEARCH, **changes}, data=data)


def found(path: Path) -> dict[str, Any]:
    """The results of the search of a run."""
    results: dict[str, Any] = next(
        stage["results"] for stage in read_json(path / "run.json")["stages"] if stage["type"] == "search"
    )
    return results


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "whole"
    run(study(), path)
    return path


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "sweep"
    run(study(until="all"), path)
    return path


def test_it_stops_where_success_ends_and_agrees_with_a_sweep(whole: Path, sweep: Path) -> None:
    results, every = found(whole), {probe["level"]: probe for probe in found(sweep)["probes"]}
    assert list(every) == LEVELS
    for probe in results["probes"]:
        # What a level comes to does not depend on what was probed before.
        assert {**probe, "seconds": 0} == {**every[probe["level"]], "seconds": 0}
    good = {level: probe["succeeds"] for level, probe in every.items()}
    assert good[results["level"]]
    assert not good[dict(pairwise([*LEVELS, None]))[results["level"]]]
    if list(good.values()) == sorted(good.values(), reverse=True):
        assert results["level"] == found(sweep)["level"]
    assert found(sweep)["level"] == max(level for level, success in good.items() if success)


def test_the_network_left_is_the_probe_of_the_level_found(whole: Path) -> None:
    results, folder = found(whole), whole / "stages" / "01-search"
    probe = folder / "probes" / f"{100 * results['level']:g}"
    for name in ("model.safetensors", "plan.json"):
        assert (folder / name).read_bytes() == (probe / name).read_bytes()
    summary = read_json(whole / "run.json")["summary"]
    said = next(probe for probe in results["probes"] if probe["level"] == results["level"])
    assert summary["after"]["params"] == said["params"] == results["after"]["params"]
    assert summary["removed"]["params"] >= results["level"] == summary["asked"]["params"]
    assert results["verified"] < 1e-9
    assert not list(whole.rglob("checkpoint*"))


def test_every_probe_meets_its_level_to_within_one_unit(sweep: Path) -> None:
    dense = found(sweep)["before"]["params"]
    for probe in found(sweep)["probes"]:
        # The largest unit is one of the first layer: 64 weights in, 16 out, and a bias.
        assert probe["level"] <= 1 - probe["params"] / dense < probe["level"] + (64 + 16 + 1) / dense


def test_costs_are_counted_by_hand(sweep: Path) -> None:
    results = found(sweep)
    splits = load(study().data, device="cpu")
    train, validation = len(splits.train), len(splits.validation)
    for probe in results["probes"]:
        sizes = read_json(sweep / "stages/01-search/probes" / f"{100 * probe['level']:g}" / "plan.json")
        first, second = (size - len(sizes["removed"].get(name, ())) for name, size in sizes["sizes"].items())
        macs = 64 * first + first * second + second * 10
        assert probe["macs"] == macs
        # After each of four epochs, and to compare.
        assert probe["validation_gops"] == pytest.approx(2e-9 * macs * validation * 5)
        # Forward, weights, and inputs of all layers but the first; biases add up gradients.
        least = 2 * (3 * macs - 64 * first)
        assert least <= probe["train_gops"] / train / 4 * 1e9 <= least + 2 * (first + second + 10)
        assert probe["gops"] == probe["train_gops"] + probe["validation_gops"]
    assert results["search_gops"] == pytest.approx(sum(probe["gops"] for probe in results["probes"]))
    assert results["search_seconds"] == pytest.approx(sum(probe["seconds"] for probe in results["probes"]))
    assert results["before_gops"] > 0


def test_the_cheapest_search_ends_with_the_first_success(whole: Path, tmp_path: Path) -> None:
    run(study(until="first"), tmp_path)
    short, full = found(tmp_path), found(whole)
    count = len(short["probes"])
    assert [probe["level"] for probe in short["probes"]] == [probe["level"] for probe in full["probes"]][:count]
    assert [probe["succeeds"] for probe in short["probes"]] == [False] * (count - 1) + [True]
    assert short["level"] == short["probes"][-1]["level"]
    assert short["search_gops"] <= full["search_gops"]


def _stop_at(place: str) -> RunOptions:
    def stop(line: str) -> None:
        if place in line:
            raise KeyboardInterrupt

    return RunOptions(notify=stop)


@pytest.mark.parametrize("count", [1, 2])
def test_stopped_between_probes_it_ends_the_same(whole: Path, tmp_path: Path, count: int) -> None:
    level = found(whole)["probes"][count - 1]["level"]
    with pytest.raises(KeyboardInterrupt):
        run(study(), tmp_path, _stop_at(f"01-search: {100 * level:g} % removed"))
    assert len(list((tmp_path / "stages/01-search/probes").iterdir())) == count
    run(study(), tmp_path, RunOptions(resume=True))
    assert essence(tmp_path) == essence(whole)


class _Killed(BaseException):
    pass


def test_stopped_within_the_training_of_a_probe_it_goes_on_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probing = study(finetune_budget=3, levels=[0.5])
    run(probing, tmp_path / "whole")
    ticks: list[str] = []

    def stop(self: object, step: str) -> None:
        ticks.append(step)
        if ticks.count("01-search") == 2:
            raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr("secateurs.recipes._directory.RunDirectory.tick", stop)
        with pytest.raises(_Killed):
            run(probing, tmp_path / "killed")
    folder = tmp_path / "killed" / "stages/01-search/probes/50"
    assert {file.name for file in folder.iterdir()} >= {"plan.json", "checkpoint.safetensors"}
    run(probing, tmp_path / "killed", RunOptions(resume=True))
    assert essence(tmp_path / "killed") == essence(tmp_path / "whole")
    history = read_json(folder / "probe.json")["history"]
    assert [record["epoch"] for record in history] == [0, 1, 2]


def test_test_images_have_no_say(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shuffled(options: Any, **rest: Any) -> Splits:
        splits = load(options, **rest)
        test = splits.test
        assert isinstance(test, ImageSet)
        wrong = ImageSet(
            images=255 - test.images, labels=test.labels.flip(0), classes=test.classes, indices=test.indices
        )
        return Splits(**{**vars(splits), "test": wrong})

    monkeypatch.setattr(session_module, "load", shuffled)
    run(study(), tmp_path)
    for probe, other in zip(found(tmp_path)["probes"], found(whole)["probes"], strict=True):
        # The proof compares outputs for a test image.
        assert {**probe, "seconds": 0, "verified": 0} == {**other, "seconds": 0, "verified": 0}
    assert found(tmp_path)["level"] == found(whole)["level"]
    assert found(tmp_path)["after"]["test_accuracy"] != found(whole)["after"]["test_accuracy"]


def test_no_test_image_is_judged_before_the_search_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    judged, settle = Session.evaluation_batches, Probes.merit

    def batches(self: Session, images: Any, *, whole: bool = False) -> Any:
        # A batch of one, or the whole first batch, shows what an input looks like.
        looked.append("test" if images is self.splits.test and not whole else "other")
        return judged(self, images, whole=whole)

    def merit(self: Probes, model: torch.nn.Module) -> float:
        looked.append("merit")
        return settle(self, model)

    monkeypatch.setattr(Session, "evaluation_batches", batches)
    monkeypatch.setattr(Probes, "merit", merit)
    run(study(), tmp_path)
    places = [place for place, what in enumerate(looked) if what == "merit"]
    assert len(places) == len(found(tmp_path)["probes"])
    assert "test" not in looked[places[0] : places[-1]]
    assert "test" in looked[places[-1] :]


def test_a_target_out_of_reach_leaves_the_network_as_it_is(tmp_path: Path) -> None:
    run(study(target=1.01), tmp_path)
    results = found(tmp_path)
    assert results["level"] is None
    assert [probe["level"] for probe in results["probes"]] == [0.5, 0.1]
    assert results["after"] == results["before"]
    assert read_json(tmp_path / "run.json")["summary"]["removed"]["params"] == 0


def test_the_target_is_that_of_the_network_at_the_start_unless_said_otherwise(tmp_path: Path) -> None:
    run(study(target="start", levels=[0.9], finetune_budget=0), tmp_path / "start")
    run(study(target="here", levels=[0.9], finetune_budget=0), tmp_path / "here")
    untrained, trained = found(tmp_path / "start"), found(tmp_path / "here")
    assert untrained["target"] < 0.6 < trained["target"]
    assert (untrained["target_of"], trained["target_of"]) == ("start", "here")
    assert untrained["probes"][0]["epochs"] == untrained["probes"][0]["train_gops"] == 0


def test_whole_points_are_compared_as_published(tmp_path: Path) -> None:
    run(study(levels=[0.1], finetune_budget=0), tmp_path / "exact")
    accuracy = found(tmp_path / "exact")["probes"][0]["validation_accuracy"]
    above = (int(100 * accuracy) + 0.99) / 100
    assert accuracy < above
    for compare, level in (("exact", None), ("points", 0.1)):
        run(study(levels=[0.1], finetune_budget=0, target=above, compare=compare), tmp_path / compare / "run")
        assert found(tmp_path / compare / "run")["level"] == level


def test_levels_that_floors_forbid_fail_and_say_why(tmp_path: Path) -> None:
    run(study(cut={"floor": 0.5}, until="all", target=0.0, finetune_budget=0), tmp_path)
    results = found(tmp_path)
    reached = [probe["reached"] for probe in results["probes"]]
    assert reached == [True, True, True, False, False]
    assert results["level"] == 0.5
    assert "of params" in results["probes"][-1]["why"]
    assert results["probes"][-1]["gops"] == 0


def test_each_probe_goes_on_in_the_schedule_of_the_training_before(tmp_path: Path) -> None:
    train = {"schedule": "list", "rates": [[0, 0.1], [4, 0.01], [6, -1]]}
    run(study(prune_after=4, finetune_budget=3, levels=[0.5], train=train), tmp_path)
    history = read_json(tmp_path / "stages/01-search/probes/50/probe.json")["history"]
    assert [record["lr"] for record in history] == pytest.approx([0.01, 0.01, 0.001])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"levels": [0.5, 0.3]}, "`levels` that ascend"),
        ({"levels": [0.5, 1.0]}, "levels"),
        ({"target": "best"}, "target"),
        ({"cut": {"remove": {"macs": 0.5}}}, "remove"),
        ({"cut": {"floor": 2, "group_floors": "adapt"}}, "not both"),
        ({"train": {"epochs": 3}}, "epochs"),
        ({"until": "frist"}, "until"),
    ],
)
def test_searches_that_make_no_sense_are_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        study(**changes)


def test_a_search_needs_validation_images(tmp_path: Path) -> None:
    wanting = recipe(TRAIN, SEARCH, data={"name": "digits", "limit": 300, "validation_ratio": 0.0})
    with pytest.raises(ConfigError, match=r"01-search: .*data\.validation_ratio"):
        run(wanting, tmp_path)
