"""Budgets of prune stages: caps, costs, latency, and one budget over several cuts."""

from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.recipes import RunOptions, run
from secateurs.recipes.stages import PruneStage, expand
from tests.recipes._studies import TRAIN, read_json, recipe

SPREAD: dict[str, Any] = {
    "type": "repeat",
    "times": 3,
    "schedule": "cubic",
    "stages": [{"type": "prune", "remove": {"params": 0.6, "macs": 0.5}}, {**TRAIN, "epochs": 1}],
}


def _cuts(path: Path) -> list[dict[str, Any]]:
    return [stage["results"] for stage in read_json(path / "run.json")["stages"] if stage["type"] == "prune"]


def test_a_schedule_spreads_one_budget_exactly_over_all_cuts(tmp_path: Path) -> None:
    run(recipe(SPREAD), tmp_path / "run")
    cuts = _cuts(tmp_path / "run")
    start = cuts[0]["before"]
    for cut, share in zip(cuts, (19 / 27, 26 / 27, 1), strict=True):
        assert cut["start"]["params"] == start["params"]
        assert 1 - cut["after"]["params"] / start["params"] >= 0.6 * share
        assert 1 - cut["after"]["macs"] / start["macs"] >= 0.5 * share
    assert 1 - cuts[-1]["after"]["params"] / start["params"] < 0.65
    asked = read_json(tmp_path / "run" / "run.json")["summary"]["asked"]
    assert asked == pytest.approx({"params": 0.6, "macs": 0.5})


def test_a_resumed_run_knows_where_the_cuts_began(tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if line.startswith("03-train"):
            raise KeyboardInterrupt

    run(recipe(SPREAD), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(recipe(SPREAD), tmp_path / "run", RunOptions(notify=stop))
    run(recipe(SPREAD), tmp_path / "run", RunOptions(resume=True))
    assert [cut["axes"] for cut in _cuts(tmp_path / "run")] == [cut["axes"] for cut in _cuts(tmp_path / "whole")]


def test_a_repeat_without_a_schedule_takes_its_ratio_each_time() -> None:
    stages = [step.stage for step in expand(recipe({**SPREAD, "schedule": None}).stages)]
    assert all(stage.part is None for stage in stages if isinstance(stage, PruneStage))


@pytest.mark.parametrize(
    "stages",
    [
        [{"type": "prune", "each_axis": 0.1}],
        [{"type": "prune", "remove": {"latency": 0.3}}],
        [{"type": "prune", "remove": {"macs": 0.3}}, {"type": "prune", "remove": {"macs": 0.3}}],
        [TRAIN],
    ],
)
def test_what_cannot_be_spread_is_refused(stages: list[dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match=r"one prune stage|counted ratios"):
        recipe({**SPREAD, "stages": stages})


def test_caps_and_costs_are_options_of_the_stage(tmp_path: Path) -> None:
    run(recipe({"type": "prune", "remove": {"macs": 0.4}, "cap": 0.5, "per": "macs"}), tmp_path / "run")
    (cut,) = _cuts(tmp_path / "run")
    assert cut["removed"]["macs"] >= 0.4
    assert all(axis["kept"] >= axis["size"] / 2 for axis in cut["axes"])


def test_latency_is_measured_on_the_cut_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that repeats: the cut network's parameters, a third of them for nothing."""

    def clock(*args: Any, **options: Any) -> Any:
        return lambda plan: (1 - plan.cost.params / plan.before.params) / 1.5

    monkeypatch.setattr("secateurs.recipes.stages._prune.latency_removed", clock)
    run(recipe({"type": "prune", "remove": {"latency": 0.3, "params": 0.2}}), tmp_path / "run")
    (cut,) = _cuts(tmp_path / "run")
    assert 0.3 <= cut["removed"]["latency"] <= 0.32
    assert cut["latency"]["within"]
    assert len(cut["latency"]["probes"]) <= 8
    assert cut["asked"] == {"latency": 0.3, "params": 0.2}
