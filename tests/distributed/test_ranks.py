"""Whether ranks are started here, and what is told of those that failed."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from secateurs._error_values import error_from, error_values
from secateurs._errors import BudgetError, ConfigError, Interrupted, RankError, SecateursError
from secateurs._files import append_jsonl, make_directory, save_tensors, write_json, writing_nothing
from secateurs._process_group import Place, record_failure
from secateurs.recipes._launch import _cause
from secateurs.recipes._ranks import starts_ranks
from tests.recipes import _studies

_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


def place(monkeypatch: pytest.MonkeyPatch, *numbers: object) -> None:
    """Say what torchrun would; nothing where there are no numbers."""
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, number in zip(_NAMES, numbers, strict=False):
        monkeypatch.setenv(name, str(number))


def recipe(**values: Any) -> Any:
    return _studies.recipe(_studies.TRAIN, **values)


def test_ranks_are_started_only_where_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    place(monkeypatch)
    assert Place.current() is None
    assert not starts_ranks(recipe())
    assert starts_ranks(recipe(devices=2))
    place(monkeypatch, 1, 2, 1, 2)
    assert Place.current() == Place(rank=1, world=2, local_rank=1, local_world=2)
    assert not starts_ranks(recipe(devices=2))


@pytest.mark.parametrize(
    ("numbers", "values", "match"),
    [
        ((0, 2, 0, 2), {}, r"devices: wanted devices: 2 and nodes: 1, as torchrun started, got devices: 1"),
        ((0, 4, 0, 2), {"devices": 4}, r"wanted devices: 2 and nodes: 2"),
        ((0, 1, 0, 1), {"devices": 2}, r"wanted devices: 1 and nodes: 1"),
        ((), {"nodes": 2}, r"nodes: wanted a start by torchrun on every node.*--nnodes 2"),
        ((), {"devices": 2, "device": "cuda:0"}, r"device: wanted auto, cuda or cpu with several devices"),
        ((), {"devices": 40}, r"batches.size: wanted at least one image for each of 40 ranks"),
        (("a", 2, 0, 2), {"devices": 2}, r"torchrun: wanted whole numbers"),
    ],
)
def test_ranks_that_the_recipe_does_not_mean_are_refused(
    monkeypatch: pytest.MonkeyPatch, numbers: tuple[object, ...], values: dict[str, Any], match: str
) -> None:
    place(monkeypatch, *numbers)
    with pytest.raises(ConfigError, match=match):
        starts_ranks(recipe(**values))


def failure(code: int, error: SecateursError | None = None) -> Any:
    values = error_values(error) if error is not None else {}
    data = {"message": {"message": "", "extraInfo": {"secateurs": values}}} if error is not None else {"message": "x"}
    name = {-9: "SIGKILL", -11: "SIGSEGV", -15: "SIGTERM"}.get(code, "")
    return SimpleNamespace(exitcode=code, error_file_data=data, signal_name=lambda: name)


_BUDGET = BudgetError("remove", wanted="less", got="much", cure="Ask for less.")
_LOST = RankError("rank 0", wanted="an answer", got="none (Connection closed)", cure="Look.")
_LATE = RankError("rank 0", wanted="an answer", got="none (Timed out waiting)", cure="Look.")


@pytest.mark.parametrize(
    ("failures", "wanted"),
    [
        ({0: failure(2, _LOST), 1: failure(2, _BUDGET)}, "BudgetError remove: wanted less, got much. Ask for less."),
        ({0: failure(2, _LOST), 1: failure(-9)}, "RankError rank 1: wanted to reach the end, got killed by SIGKILL"),
        ({0: failure(-11), 1: failure(-15)}, "RankError rank 0: wanted to reach the end, got killed by SIGSEGV"),
        ({0: failure(2, _LATE), 1: failure(-9)}, "RankError rank 0: wanted an answer, got none (Timed out waiting)"),
        ({0: failure(1), 1: failure(-15)}, "RankError rank 0: wanted to reach the end, got ended with code 1"),
        ({0: failure(143), 1: failure(143)}, "Interrupted interrupted by SIGTERM"),
    ],
)
def test_the_rank_that_failed_first_is_told_of(failures: dict[int, Any], wanted: str) -> None:
    cause = _cause(failures)
    assert f"{type(cause).__name__} {cause}".startswith(wanted)
    assert isinstance(cause, Interrupted | SecateursError)


def test_errors_travel_as_values() -> None:
    again = error_from(json.loads(json.dumps(error_values(_BUDGET))))
    assert type(again) is BudgetError
    assert str(again) == str(_BUDGET)
    assert type(error_from({**error_values(_BUDGET), "kind": "os"})) is SecateursError


def test_a_failure_is_left_for_the_launcher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "0" / "error.json"))
    record_failure(_BUDGET)
    left = json.loads((tmp_path / "0" / "error.json").read_text())["message"]
    assert left["message"].startswith("BudgetError: remove: wanted less")
    assert error_from(left["extraInfo"]["secateurs"]).got == "much"
    assert int(left["extraInfo"]["timestamp"]) > 0


def test_a_silent_rank_writes_nothing(tmp_path: Path) -> None:
    with writing_nothing():
        make_directory(tmp_path / "new")
        write_json(tmp_path / "a.json", {})
        append_jsonl(tmp_path / "b.jsonl", {})
        save_tensors(tmp_path / "c.safetensors", {})
    assert not list(tmp_path.iterdir())
    write_json(tmp_path / "a.json", {})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
