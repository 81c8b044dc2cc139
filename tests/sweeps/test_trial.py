"""Trials: names, states, means, the best of them."""

import itertools
import json
import random
import re

import pytest

from secateurs.sweeps._trial import RunStatus, Trial, TrialRun, best_trials, trial_name


def trial(number: int, *figures: dict[str, float], status: RunStatus = "finished") -> Trial:
    runs = [TrialRun(seed=seed, path="", status=status, figures=each) for seed, each in enumerate(figures)]
    return Trial(number=number, name=f"{number}", values={}, runs=tuple(runs))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"a": "taylor", "b": 0.30000000000000004}, "0007-taylor-0.3"),
        ({"a": [32, 16], "b": None}, "0007-32-16-None"),
        ({"a": "../../etc/passwd\n"}, "0007-etc-passwd"),
        ({"a": "", "b": "äö"}, "0007"),
        ({"a": "x" * 200}, "0007-" + "x" * 55),
    ],
)
def test_names_are_fit_for_folders(values: dict[str, object], name: str) -> None:
    assert trial_name(7, values) == name
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)


def test_a_trial_is_what_its_runs_are() -> None:
    states: list[RunStatus] = ["waiting", "running", "finished", "failed", "stopped"]
    for pair in itertools.product(states, states):
        runs = tuple(TrialRun(seed=seed, path="", status=status, figures={}) for seed, status in enumerate(pair))
        status = Trial(number=0, name="", values={}, runs=runs).status
        assert status in pair or pair in (("waiting", "finished"), ("finished", "waiting"))
        assert (status == "finished") == (pair == ("finished", "finished"))
    assert Trial(number=0, name="", values={}, runs=(), errors=("no recipe",)).status == "failed"


def test_figures_are_means_over_seeds() -> None:
    made = trial(0, {"macs": 1.0, "params": 2.0}, {"macs": 3.0})
    assert made.figures == {"macs": 2.0}
    assert made.spread == {"macs": pytest.approx(2**0.5)}
    assert Trial.from_plain(json.loads(json.dumps(made.plain()))) == made


def test_the_best_are_those_that_none_dominates() -> None:
    draw = random.Random(0)
    trials = [
        trial(number, {"validation_accuracy": draw.randint(0, 9) / 9, "macs": float(draw.randint(0, 9))})
        for number in range(60)
    ]
    front = best_trials(trials, ["validation_accuracy", "macs"])
    points = [(made.figures["validation_accuracy"], -made.figures["macs"]) for made in trials]
    slow = [
        made
        for made, (a, b) in zip(trials, points, strict=True)
        if not any(c >= a and d >= b and (c > a or d > b) for c, d in points)
    ]
    assert front == slow
    assert best_trials(trials, ["macs"]) == [made for made in trials if made.figures["macs"] == 0.0]


def test_only_finished_trials_with_finite_figures_are_best() -> None:
    trials = [
        trial(0, {"validation_accuracy": float("nan")}),
        trial(1, {"validation_accuracy": 0.9}, status="stopped"),
        trial(2, {"validation_accuracy": 0.5}),
        trial(3, {"macs": 1.0}),
    ]
    assert best_trials(trials, ["validation_accuracy"]) == [trials[2]]
