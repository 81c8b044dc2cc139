"""What is listed of run directories, in whatever state they are."""

import json
from pathlib import Path
from typing import Any

import pytest

from secateurs.reporting import Entry, catalogue
from tests.reporting._runs import state, write_run


def listed(folder: Path, *held: str) -> dict[str, Entry]:
    """Entries by their place below `folder`; these are held by a process."""
    entries = catalogue([folder], held=lambda path: path.relative_to(folder).as_posix() in held)
    return {entry.path.relative_to(folder).as_posix(): entry for entry in entries}


def run_state(**values: Any) -> dict[str, Any]:
    """run.json of a whole run; each stage took 10 s."""
    whole = state() | {"started": "2026-01-02T03:04:05+00:00", "error": None} | values
    return whole | {"stages": [{"seconds": 10.0, **stage} for stage in whole["stages"]]}


def write_study(path: Path, states: dict[str, dict[str, Any]], **values: Any) -> None:
    path.mkdir(parents=True)
    places = [{"variant": place.split("/")[0], "seed": 0, "path": place} for place in states]
    content: dict[str, Any] = {
        "name": "small",
        "status": "finished",
        "error": None,
        "runs": places,
        "stages": [],
        "summary": {},
    }
    (path / "run.json").write_text(json.dumps(content | values))
    for place, inner in states.items():
        if inner:
            write_run(path / place, inner)


def test_a_finished_run(tmp_path: Path) -> None:
    write_run(tmp_path / "deep" / "er" / "a", run_state())
    assert listed(tmp_path)["deep/er/a"] == Entry(
        path=tmp_path / "deep" / "er" / "a",
        name="small",
        kind="run",
        status="finished",
        stage="03-prune",
        done=4,
        total=4,
        epochs=6,
        accuracy_before=0.986,
        accuracy_after=0.9832,
        params_kept=0.5,
        macs_kept=0.5,
        seconds=40.0,
        started="2026-01-02T03:04:05+00:00",
    )


@pytest.mark.parametrize(
    ("said", "error", "held", "status"),
    [
        ("running", None, True, "running"),
        ("running", None, False, "stopped"),
        ("failed", "interrupted by SIGTERM", False, "stopped"),
        ("failed", "interrupted", False, "stopped"),
        ("failed", "epoch 3: wanted a finite loss", False, "failed"),
        ("finished", None, True, "finished"),
        ("asleep", None, False, "damaged"),
    ],
)
def test_status(tmp_path: Path, said: str, error: str | None, held: bool, status: str) -> None:
    write_run(tmp_path / "a", run_state(status=said, error=error))
    assert listed(tmp_path, *(["a"] if held else []))["a"].status == status


def test_a_run_that_has_not_ended_says_what_is_known_so_far(tmp_path: Path) -> None:
    side = {"test_accuracy": 0.98, "params": 100, "macs": 100}
    stages = [
        {"name": "00-train", "type": "train", "status": "finished", "seconds": 9.0, "results": {"test_accuracy": 0.98}},
        {
            "name": "01-prune",
            "type": "prune",
            "status": "finished",
            "seconds": 1.0,
            "results": {"before": side, "after": {"test_accuracy": 0.3, "params": 20, "macs": 50}},
        },
        {"name": "02-train", "type": "train", "status": "finished", "seconds": 5.0, "results": {"test_accuracy": 0.97}},
        {"name": "03-train", "type": "train", "status": "running", "seconds": 2.0, "results": {}},
        {"name": "04-measure", "type": "measure", "status": "waiting", "seconds": 0.0, "results": {}},
    ]
    write_run(tmp_path / "a", run_state(status="running", stages=stages, summary={}))
    entry = listed(tmp_path, "a")["a"]
    assert (entry.stage, entry.done, entry.total, entry.seconds) == ("03-train", 3, 5, 17.0)
    assert (entry.accuracy_before, entry.accuracy_after) == (0.98, 0.97)
    assert (entry.params_kept, entry.macs_kept) == (0.2, 0.5)


def test_an_autoencoder_is_told_by_its_bound(tmp_path: Path) -> None:
    first, cut, trained = ({"test_elbo": bound, "params": 10, "macs": 10} for bound in (-100.5, -180.0, -104.25))
    stages = [
        {"name": "00-train", "type": "train", "status": "finished", "results": {"test_elbo": -100.5}},
        {"name": "01-prune", "type": "prune", "status": "finished", "results": {"before": first, "after": cut}},
        {"name": "02-train", "type": "train", "status": "finished", "results": {"test_elbo": -104.25}},
    ]
    write_run(tmp_path / "a", run_state(status="running", stages=stages, summary={}))
    write_run(tmp_path / "b", run_state(summary={"before": first, "after": trained}))
    found = listed(tmp_path)
    for name in ("a", "b"):
        assert (found[name].elbo_before, found[name].elbo_after) == (-100.5, -104.25)
        assert (found[name].accuracy_before, found[name].accuracy_after) == (None, None)
    write_study(tmp_path / "s", {"a/0": run_state(summary={"before": first, "after": trained}), "b/0": run_state()})
    study = listed(tmp_path)["s"]
    assert (study.elbo_after, study.accuracy_after) == (-104.25, 0.9832)


def test_a_study_is_one_entry_with_its_runs(tmp_path: Path) -> None:
    later = run_state(started="2026-01-05T00:00:00+00:00")
    stopped = run_state(status="running")
    write_study(tmp_path / "s", {"a/0": later, "b/0": run_state(), "b/1": stopped, "c/0": {}}, status="running")
    found = listed(tmp_path)
    assert list(found) == ["s"]
    study = found["s"]
    assert (study.kind, study.status, study.done, study.total) == ("study", "stopped", 2, 4)
    assert (study.epochs, study.seconds, study.started) == (18, 120.0, "2026-01-02T03:04:05+00:00")
    assert [study.accuracy_after, study.macs_kept] == pytest.approx([0.9832, 0.5])
    assert [(run.path.name, run.status) for run in study.runs] == [
        ("0", "finished"),
        ("0", "finished"),
        ("1", "stopped"),
    ]


def test_newest_first_and_equally_new_by_name(tmp_path: Path) -> None:
    for name, day in (("c", 1), ("b", 3), ("d", 2), ("a", 3)):
        write_run(tmp_path / name, run_state(started=f"2026-01-0{day}T00:00:00+00:00"))
    write_run(tmp_path / "e", run_state(started=None))
    assert list(listed(tmp_path)) == ["a", "b", "d", "c", "e"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"{}",
        b'{"name": "x", "stages": 3}',
        b'{"name": "x", "stages": [1]}',
        json.dumps(run_state(summary={"after": {"test_accuracy": []}})).encode(),
        b'{"name": "x", "status": "finished", "runs": [{"path": "../elsewhere"}]}',
        b'{"name": "x", "status": "finished", "runs": [{"path": "/"}]}',
    ],
)
def test_a_damaged_run_is_listed_as_such_beside_the_others(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_bytes(content)
    write_run(tmp_path / "good", run_state())
    found = listed(tmp_path)
    assert (found["bad"].status, found["good"].status) == ("damaged", "finished")
    assert found["bad"].error


def test_nothing_inside_a_run_is_looked_for_and_nothing_hidden(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_state())
    write_run(tmp_path / "a" / "stages" / "b", run_state())
    write_run(tmp_path / ".hidden", run_state())
    assert list(listed(tmp_path)) == ["a"]


def test_overlapping_folders_give_each_run_once(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run_state())
    assert len(catalogue([tmp_path, tmp_path / "a"], held=lambda path: False)) == 1
