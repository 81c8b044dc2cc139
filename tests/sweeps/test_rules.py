"""Early stopping, against curves whose verdict can be read off."""

import json
import math
from pathlib import Path

import pytest

from secateurs.sweeps._config import Stop
from secateurs.sweeps._rules import StoppedEarly, curve_of, other_curves, stopper, verdict

MEDIAN = Stop(rule="median", after=2, least=3)
HALVING = Stop(rule="halving", after=1, factor=2)
OTHERS = [[0.1, 0.2, 0.3], [0.3, 0.4, 0.5], [0.5, 0.6, 0.7]]


def test_the_median_rule_ends_what_is_below_the_median_at_that_epoch() -> None:
    assert verdict(MEDIAN, [0.0], OTHERS) is None
    ended = verdict(MEDIAN, [0.0, 0.39, 0.9], OTHERS)
    assert ended is not None
    assert (ended.epoch, ended.best) == (2, 0.39)
    assert "0.4000, the median of 3 others" in ended.reason
    assert verdict(MEDIAN, [0.45, 0.0, 0.5], OTHERS) is None  # its best so far counts
    assert verdict(MEDIAN, [0.0, 0.0, 0.0], OTHERS[:2]) is None
    assert verdict(MEDIAN, [0.5, 0.5, 0.5, 0.0, 0.0], OTHERS) is None  # nobody else has got so far


def test_the_halving_rule_lets_the_best_half_go_on_at_its_rungs() -> None:
    assert verdict(HALVING, [0.1], []) is None
    assert verdict(HALVING, [0.4], [[0.3]]) is None
    ended = verdict(HALVING, [0.4, 0.5, 0.35], OTHERS)
    assert ended is None
    ended = verdict(HALVING, [0.2, 0.9], OTHERS)
    assert ended is not None
    assert ended.epoch == 1
    assert "place 3 of 4, and 2 go on" in ended.reason
    wider = Stop(rule="halving", after=2, factor=3)
    assert [epoch for epoch in range(1, 60) if verdict(wider, [0.0] * epoch, [[1.0] * 59] * 2)] == list(range(2, 60))
    first = verdict(wider, [9.0, 9.0, 9.0, 9.0, 9.0, 0.0], [[1.0] * 5 + [10.0]])
    assert first is not None
    assert first.epoch == 6


def test_the_first_verdict_does_not_change_as_the_run_goes_on() -> None:
    curve = [0.5, 0.3, 0.1, 0.6, 0.2]
    first = verdict(MEDIAN, curve[:3], [*OTHERS[1:], [0.9] * 5])
    assert first is not None
    assert verdict(MEDIAN, curve, [*OTHERS[1:], [0.9] * 5]) == first


def write(folder: Path, rows: list[dict[str, float | str]]) -> Path:
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_curves_are_read_from_the_runs_of_other_trials(tmp_path: Path) -> None:
    write(tmp_path / "0000-a" / "0", [{"validation_accuracy": 0.5}, {"train_accuracy": 1.0}])
    write(tmp_path / "0000-a" / "1", [{"validation_loss": 2.0}, {"validation_loss": math.nan}])
    own = write(tmp_path / "0001-b" / "0", [{"validation_accuracy": 0.25}])
    assert other_curves(tmp_path, "0001-b") == [[0.5], [-2.0, -math.inf]]
    assert curve_of(own) == [0.25]
    assert curve_of(tmp_path / "none") == []
    with pytest.raises(StoppedEarly, match=r"interrupted by early stopping: after epoch 1, 0.2500 has place 2 of 3"):
        stopper(Stop(rule="halving", factor=3), tmp_path, own)()
