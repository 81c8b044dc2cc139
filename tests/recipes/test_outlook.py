"""What is foreseen from what was measured, by a clock that the test moves."""

import pytest

from secateurs.recipes._outlook import Job, Outlook, jobs_of
from secateurs.recipes.stages import expand
from tests.recipes._studies import MEASURE, PRUNE, TRAIN, recipe

STAGES = (
    ("00-train", "train", 10),
    ("01-prune", "prune", 0),
    ("02-retrain", "train", 20),
    ("03-measure", "measure", 0),
)


def outlook(*runs: str) -> Outlook:
    """The same four stages in each run."""
    return Outlook(
        [Job(run=run, stage=name, type=kind, epochs=epochs) for run in runs for name, kind, epochs in STAGES]
    )


def test_jobs_are_the_steps_of_a_recipe_with_their_epochs() -> None:
    rounds = {"type": "repeat", "times": 2, "stages": [PRUNE, {**TRAIN, "epochs": 3}]}
    jobs = jobs_of("a/0", expand(recipe({**TRAIN, "epochs": 5}, rounds).stages))
    assert [(job.stage, job.type, job.epochs) for job in jobs] == [
        ("00-train", "train", 5),
        ("01-prune", "prune", 0),
        ("02-train", "train", 3),
        ("03-prune", "prune", 0),
        ("04-train", "train", 3),
        ("05-measure", "measure", 0),
    ]
    assert {job.run for job in jobs} == {"a/0"}
    assert MEASURE["type"] == jobs[-1].type


def test_nothing_is_foreseen_before_a_training_was_timed() -> None:
    seen = outlook("")
    assert seen.after(seen.jobs[0]) is None
    assert seen.after(seen.jobs[2]) == 2.0  # a measurement is short, whatever else is unknown


def test_trainings_to_come_take_their_epochs_times_the_last_rate() -> None:
    seen = outlook("")
    seen.rate(seen.jobs[0], 3.0)
    assert seen.expected(seen.jobs[0]) == 30.0
    assert seen.after(seen.jobs[0]) == 2.0 + 20 * 3.0 + 2.0
    seen.finished(seen.jobs[0], 31.0, 3.0)
    seen.finished(seen.jobs[1], 7.0)
    assert (seen.spent, seen.expected(seen.jobs[0])) == (38.0, 31.0)


def test_a_run_to_come_takes_what_the_same_stages_took_in_runs_before() -> None:
    seen = outlook("a/0", "b/0", "c/0")
    for run, factor in (("a/0", 1.0), ("b/0", 3.0)):
        for name, seconds, rate in (("00-train", 30.0, 3.0), ("01-prune", 5.0, None), ("02-retrain", 20.0, 1.0)):
            seen.finished(seen.job(run, name), factor * seconds, rate and factor * rate)
        seen.finished(seen.job(run, "03-measure"), factor * 4.0)
    assert [seen.expected(job) for job in seen.jobs[8:]] == [10 * 6.0, 10.0, 20 * 2.0, 8.0]
    assert seen.after(seen.job("b/0", "03-measure")) == 118.0
    assert seen.after(seen.job("c/0", "02-retrain")) == 8.0


def test_a_stage_alike_stands_in_for_one_that_was_never_seen() -> None:
    jobs = [Job(run="", stage=f"{n:02d}-prune", type="prune", epochs=0) for n in range(3)]
    seen = Outlook([*jobs, Job(run="", stage="03-measure", type="measure", epochs=0)])
    seen.finished(jobs[0], 10.0)
    seen.finished(jobs[1], 20.0)
    assert seen.after(jobs[1]) == 15.0 + 2.0


def test_a_resumed_run_counts_what_was_done() -> None:
    seen = outlook("a/0", "b/0")
    state = {
        "stages": [
            {"name": "00-train", "status": "finished", "seconds": 50.0},
            {"name": "01-prune", "status": "finished", "seconds": 6.0},
            {"name": "02-retrain", "status": "running", "seconds": 9.0},
            {"name": "03-measure", "status": "waiting", "seconds": 0.0},
            {"name": "99-other", "status": "finished", "seconds": 1e9},
        ]
    }
    rows = [{"stage": "00-train", "seconds": 5.0}] * 10 + [{"stage": "02-retrain", "seconds": 4.0}, {"stage": "x"}]
    seen.recall("a/0", state, rows)
    running = seen.job("a/0", "02-retrain")
    assert (seen.spent, seen.begun(running), seen.known_rate(running)) == (56.0, 9.0, 4.0)
    assert seen.after(running) == 2.0 + (10 * 5.0 + 6.0 + 20 * 4.0 + 2.0)


@pytest.mark.parametrize("run", ["a/0", "nobody"])
def test_what_says_nothing_of_use_is_passed_over(run: str) -> None:
    seen = outlook("a/0")
    seen.recall(run, {"status": "running"}, [])
    assert seen.spent == 0.0
