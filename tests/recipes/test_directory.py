"""Run directories: who may write to them, and what is in them whatever happens."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from secateurs import SecateursError
from secateurs.recipes._directory import RunDirectory, first_difference, read_state

CONFIG: dict[str, Any] = {"name": "x", "seed": 0, "stages": [{"type": "train", "epochs": 2}]}
STEPS = [{"name": "00-train", "type": "train"}, {"name": "01-measure", "type": "measure"}]


def begun(path: Path) -> RunDirectory:
    directory = RunDirectory.open(path, CONFIG, resume=False)
    directory.begin(CONFIG, STEPS, {"name": "x"})
    return directory


def test_nothing_is_written_before_the_run_begins(tmp_path: Path) -> None:
    RunDirectory.open(tmp_path / "run", CONFIG, resume=False)
    assert list((tmp_path / "run").iterdir()) == []


def test_a_directory_in_use_is_refused_without_resume(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(SecateursError, match=r"wanted a new or empty directory, got one with 2 entries.*--resume"):
        RunDirectory.open(tmp_path, CONFIG, resume=False)


def test_a_directory_of_other_files_is_never_resumed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(SecateursError, match=r"no config\.yaml"):
        RunDirectory.open(tmp_path, CONFIG, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_resuming_a_missing_directory_starts(tmp_path: Path) -> None:
    assert RunDirectory.open(tmp_path / "a" / "b", CONFIG, resume=True).state == {}


def test_resuming_another_recipe_names_the_first_key_that_differs(tmp_path: Path) -> None:
    begun(tmp_path)
    other = {**CONFIG, "stages": [{"type": "train", "epochs": 3}]}
    with pytest.raises(SecateursError, match=r"^stages\.0\.epochs: wanted 2 as in .*config\.yaml, got 3"):
        RunDirectory.open(tmp_path, other, resume=True)


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SecateursError, match="wanted a directory that can be made"):
        RunDirectory.open(tmp_path / "file" / "run", CONFIG, resume=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SecateursError, match="may not be written"):
        RunDirectory.open(tmp_path, CONFIG, resume=False)


@pytest.mark.parametrize(
    ("before", "now", "difference"),
    [
        ({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 2]}, None),
        ({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 3]}, ("b.1", "2", "3")),
        ({"a": 1}, {"a": 1, "b": 2}, ("b", "'nothing'", "2")),
        ({"a": 1, "b": 2}, {"a": 1}, ("b", "2", "'nothing'")),
        ({"a": [1]}, {"a": [1, 2]}, ("a", "[1]", "[1, 2]")),
        ({"a": 1}, {"a": True}, ("a", "1", "True")),
        ({"a": {"b": None}}, {"a": {"b": 0}}, ("a.b", "None", "0")),
    ],
)
def test_first_difference(before: Any, now: Any, difference: tuple[str, str, str] | None) -> None:
    assert first_difference(before, now) == difference


def test_finished_stages_and_their_time_survive_a_resumption(tmp_path: Path) -> None:
    directory = begun(tmp_path)
    directory.start_step("00-train")
    directory.finish_step("00-train", {"epochs": 2})
    directory.start_step("01-measure")
    again = RunDirectory.open(tmp_path, CONFIG, resume=True)
    again.begin(CONFIG, STEPS, {"name": "x"})
    assert again.entry("00-train")["status"] == "finished"
    assert again.entry("00-train")["results"] == {"epochs": 2}
    assert again.state["resumes"] == 1
    assert json.loads((tmp_path / "stages" / "00-train" / "metrics.json").read_text()) == {"epochs": 2}


def test_an_epoch_logged_twice_is_one_line_and_the_newer(tmp_path: Path) -> None:
    directory = begun(tmp_path)
    directory.log_epochs("00-train", [{"epoch": 0, "train_loss": 2.0}, {"epoch": 1, "train_loss": 1.0}])
    again = RunDirectory.open(tmp_path, CONFIG, resume=True)
    again.log_epochs("00-train", [{"epoch": 1, "train_loss": 0.5}])
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["train_loss"]) for row in rows] == [(0, 2.0), (1, 0.5)]


@pytest.mark.parametrize("content", ["{", "[1]", "\x00"])
def test_a_damaged_state_is_refused_with_its_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(SecateursError, match=r"run\.json: wanted a"):
        read_state(tmp_path)


def test_lines_stand_in_the_order_of_training_however_they_come(tmp_path: Path) -> None:
    """A kill between a checkpoint and its line leaves the line out until the stage ends."""
    directory = begun(tmp_path)
    directory.log_epochs("00-train", [{"epoch": 1}])
    directory.log_epochs("100-train", [{"epoch": 0}])
    directory.log_epochs("11-train", [{"epoch": 10}, {"epoch": 2}])
    directory.log_epochs("00-train", [{"epoch": 0}, {"epoch": 1}])
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(row["stage"], row["epoch"]) for row in rows] == [
        ("00-train", 0),
        ("00-train", 1),
        ("11-train", 2),
        ("11-train", 10),
        ("100-train", 0),
    ]
