"""What is proposed follows from the seed, the number and the trials before; no values come twice."""

import json
import statistics
from typing import Any

import pytest

from secateurs.sweeps import Sweep
from secateurs.sweeps._propose import propose
from secateurs.sweeps._trial import RunStatus, Trial, TrialRun
from tests.sweeps._sweeps import sweep

SPACE = {
    "stages.0.lr": {"low": 0.001, "high": 1.0, "log": True},
    "stages.0.epochs": {"low": 1, "high": 9},
    "stages.0.momentum": {"low": 0.0, "high": 0.9, "step": 0.1},
    "model.options.widths": [[16], [32, 16], None],
    "stages.0.weight_decay": {"low": 1e-5, "high": 1e-2, "log": True, "count": 4},
    "kind": {"choices": {"a": {"seed": 1}, "b": {}}},
}


def judged(number: int, values: dict[str, Any]) -> Trial:
    """The trial with a result: the nearer the rate to 0.1, the better."""
    figures = {"validation_accuracy": 1.0 - abs(values["stages.0.lr"] - 0.1), "macs": values["stages.0.epochs"]}
    status: RunStatus = "failed" if number % 7 == 3 else "stopped" if number % 7 == 5 else "finished"
    run = TrialRun(
        seed=0, path=f"{number}/0", status=status, figures=figures if status == "finished" else {}, epoch=1, value=0.5
    )
    return Trial(number=number, name=str(number), values=json.loads(json.dumps(values)), runs=(run,))


def proposals(made: Sweep, count: int, trials: tuple[Trial, ...] = ()) -> list[Trial]:
    """`trials` and what follows from them, up to so many."""
    found = list(trials)
    while len(found) < count and (values := propose(made, found)) is not None:
        found.append(judged(len(found), values))
    return found


@pytest.mark.parametrize("search", ["random", "optuna"])
@pytest.mark.parametrize("objectives", [["validation_accuracy"], ["validation_accuracy", "macs"]])
def test_a_search_that_goes_on_proposes_what_it_would_have(search: str, objectives: list[str]) -> None:
    made = sweep(search=search, trials=9, startup=3, space=SPACE, objectives=objectives)
    whole = proposals(made, 9)
    assert proposals(made, 9, tuple(whole[:5])) == whole
    assert len({json.dumps(trial.values) for trial in whole}) == 9
    other = proposals(sweep(search=search, trials=9, startup=3, space=SPACE, objectives=objectives, seed=1), 3)
    assert [trial.values for trial in other] != [trial.values for trial in whole[:3]]


@pytest.mark.slow
def test_optuna_comes_nearer_to_the_best_than_chance() -> None:
    def nearest(search: str) -> float:
        made = sweep(search=search, trials=40, startup=8, space={**SPACE, "kind": [1, 2]})
        rates = [trial.values["stages.0.lr"] for trial in proposals(made, 40)[20:]]
        return statistics.fmean(abs(rate - 0.1) for rate in rates)

    assert nearest("optuna") < 0.7 * nearest("random")


@pytest.mark.parametrize("search", ["random", "optuna"])
def test_a_space_that_is_used_up_ends_the_search(search: str) -> None:
    made = sweep(search=search, trials=50, startup=2, space={"stages.0.lr": [0.1, 0.2], "stages.0.epochs": [1, 2]})
    found = {json.dumps(trial.values) for trial in proposals(made, 50)}
    assert len(found) == 4
