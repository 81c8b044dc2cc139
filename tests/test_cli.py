"""The command line: what it prints, and that bad input gets one line and exit code 2."""

import io
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from secateurs import __version__
from secateurs.cli import main
from secateurs.recipes._yaml import dump_yaml
from secateurs.surgery import load
from tests.recipes._studies import PRUNE, TRAIN, config, read_json


def call(*arguments: str) -> int:
    """The exit code of the command line."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that wrong arguments get."""
    assert call(*arguments) == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if line]
    assert lines[-1].startswith("error: ")
    assert sum(line.startswith("error: ") for line in lines) == 1
    return lines[-1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, which models can be imported from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    return tmp_path


def write_module(folder: Path, text: str, name: str) -> None:
    (folder / f"{name}.py").write_text(text)


NET = """
from torch import nn

def make(width=16):
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 4))

def broken():
    raise RuntimeError("no weights here\\nsecond line")

def number():
    return 3

constant = 3
"""


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", ["demo", "run", "prune", "inspect", "cost", "runs", "recipes", "schema", "convert"])
def test_every_command_explains_itself_with_an_example(
    capsys: pytest.CaptureFixture[str], command: str, flag: str
) -> None:
    assert call(command, flag) == 0
    text = capsys.readouterr().out
    assert "Usage: secateurs" in text
    assert "Example" in text
    assert f"secateurs {command}" in text.split("Example")[1]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"secateurs {__version__}\n"


def test_recipes_lists_names_and_descriptions(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("recipes") == 0
    assert "quickstart" in capsys.readouterr().out


def test_schema_is_json_schema_of_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("schema") == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"name", "model", "data", "stages", "variants", "seeds"} <= set(schema["properties"])


def test_run_carries_out_a_recipe_and_prints_the_table(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "small.yaml").write_text(dump_yaml(config(TRAIN, PRUNE)))
    assert call("run", "small.yaml", "stages.0.epochs=1", "--seed", "5") == 0
    text = capsys.readouterr().out
    for word in ("test accuracy", "parameters", "MACs", "bytes", "latency, batch 1", "latency, batch 8"):
        assert word in text
    assert "asked to remove 40 % of macs" in text
    assert "everything is in runs/small" in text
    state = read_json(folder / "runs" / "small" / "run.json")
    assert (state["status"], state["seed"]) == ("finished", 5)
    assert state["stages"][0]["results"]["epochs"] == 1


class _Keyboard(io.StringIO):
    """Standard input as a terminal gives it, or as a pipe does."""

    def __init__(self, text: str, *, terminal: bool) -> None:
        super().__init__(text)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


OPEN = {**config(TRAIN), "data": {"limit": 60}, "for_data": {"mnist": {}, "digits": {"stages.0.epochs": 1}}}


@pytest.mark.parametrize("answer", ["2", "digits", "5\n\nDIGITS\n 2 "])
def test_on_a_terminal_a_person_is_asked_for_the_data(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path, answer: str
) -> None:
    (folder / "open.yaml").write_text(dump_yaml(OPEN))
    monkeypatch.setattr(sys, "stdin", _Keyboard(answer + "\n", terminal=True))
    assert call("run", "open.yaml", "--out", "run") == 0
    assert "  1 mnist\n  2 digits\n" in capsys.readouterr().err
    assert read_json(folder / "run" / "run.json")["stages"][0]["results"]["epochs"] == 1
    assert "name: digits" in (folder / "run" / "config.yaml").read_text()


def test_nobody_is_asked_where_there_is_no_terminal_or_no_need(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    (folder / "open.yaml").write_text(dump_yaml(OPEN))
    monkeypatch.setattr(sys, "stdin", _Keyboard("2\n", terminal=False))
    line = complaint(capsys, "run", "open.yaml")
    assert "data.name: wanted one of mnist, digits, or another data set, got nothing" in line
    assert sys.stdin.read() == "2\n"
    monkeypatch.setattr(sys, "stdin", _Keyboard("", terminal=True))
    assert call("run", "open.yaml", "data.name=digits", "--out", "named") == 0


def test_no_answer_is_an_interruption(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "open.yaml").write_text(dump_yaml(OPEN))
    monkeypatch.setattr(sys, "stdin", _Keyboard("", terminal=True))
    assert call("run", "open.yaml") == 130
    assert not (folder / "runs").exists()


def test_a_second_run_gets_a_place_of_its_own_and_resuming_finds_the_last(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "small.yaml").write_text(dump_yaml(config(TRAIN)))
    for _ in range(2):
        assert call("run", "small.yaml", "stages.0.epochs=1") == 0
    assert read_json(folder / "runs" / "small-2" / "run.json")["status"] == "finished"
    capsys.readouterr()
    assert call("run", "small.yaml", "stages.0.epochs=1", "--resume") == 0
    captured = capsys.readouterr()
    assert "runs/small-2 is finished already; nothing to do" in captured.out + captured.err
    assert not (folder / "runs" / "small-3").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["run"], "Missing argument 'RECIPE'"),
        (["run", "quickstart", "--sed", "1"], "No such option: --sed"),
        (["run", "nowhere.yaml"], "nowhere.yaml: wanted a recipe file or the name of a ready recipe"),
        (["run", "quickstat"], "Did you mean 'quickstart'?"),
        (["run", "quickstart", "stages.0.epoch=3"], "stages.0.epoch: wanted a known key"),
        (["run", "quickstart", "stages.0.epochs=many"], "stages.0.epochs: wanted a valid integer, got 'many'"),
        (["run", "quickstart", "epochs"], "wanted KEY.KEY=VALUE"),
        (["run", "quickstart", "model.name=resnet7"], "resnet8"),
        (["run", "quickstart", "stages.1.criterion=magnitud"], "magnitude"),
        (["run", "quickstart", "data.name=null", "data.path=nowhere"], "nowhere"),
        (["run", "quickstart", "device=cuda:99"], "device"),
        (["inspect", "no_such_module:net", "--input", "1x8"], "a module no_such_module that can be imported"),
        (["inspect", "resnet21"], "resnet20"),
        (["inspect", "json:dump_s", "--input", "1x8"], "Did you mean 'dumps'?"),
        (["cost", "resnet8", "--input", "1xx3"], "--input 1xx3: wanted SHAPE or SHAPE:TYPE"),
        (["cost", "resnet8", "--input", "1x3x32x32:float"], "wanted SHAPE or SHAPE:TYPE"),
        (["cost", "resnet8", "--option", "widht=2"], "Did you mean 'width'?"),
        (["prune", "resnet8", "--remove", "macs=2", "--out", "x.safetensors"], "--remove macs=2: wanted WHAT=RATIO"),
        (["prune", "resnet8", "--remove", "mac=0.5", "--out", "x.safetensors"], "--remove mac=0.5: wanted WHAT=RATIO"),
        (["prune", "resnet8", "--remove", "macs=0.5"], "Missing option '--out'"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], folder: Path, arguments: list[str], message: str
) -> None:
    assert message in complaint(capsys, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net:broken", "--input", "1x8"], "got RuntimeError: no weights here. Call it yourself"),
        (["net:number", "--input", "1x8"], "wanted a torch.nn.Module, got int"),
        (["net:constant", "--input", "1x8"], "wanted a callable that returns a network, got int"),
        (["net:mak", "--input", "1x8"], "Did you mean 'make'?"),
        (["net:make"], "--input: wanted a shape"),
        (["net:make", "--input", "1x9"], "a model that runs on the example input, got RuntimeError:"),
        (["net:make", "--input", "1x8", "--input", "1x8"], "TypeError"),
        (["net:make", "--input", "1x8", "--weights", "nowhere.safetensors"], "nowhere.safetensors"),
        (["net:make", "--input", "1x8", "--option", "depth=3"], "unexpected keyword argument 'depth'"),
    ],
)
def test_a_users_network_that_does_not_work_gets_one_line(
    capsys: pytest.CaptureFixture[str], folder: Path, arguments: list[str], message: str
) -> None:
    write_module(folder, NET, "net")
    sys.modules.pop("net", None)
    assert message in complaint(capsys, "inspect", *arguments)


def test_a_network_that_cannot_take_the_images_gets_one_line(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write_module(folder, NET, "net_of_vectors_of_other_size")
    model = ["model.name=null", "model.factory=net_of_vectors_of_other_size:make", "model.options={width: 3}"]
    said = complaint(capsys, "run", "quickstart", *model, "data.resize=5")
    assert "a model that runs on the example input, got RuntimeError:" in said
    assert "input shapes [(1, 1, 5, 5)]" in said


def test_a_module_that_fails_on_import_gets_one_line(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write_module(folder, "import numpy\nraise ValueError('broken on purpose')\n", "failing_net")
    assert "ValueError: broken on purpose" in complaint(capsys, "inspect", "failing_net:make", "--input", "1x8")


def test_files_that_are_not_what_they_should_be(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "bad.yaml").write_text("name: [1\nmodel: 3\n")
    assert "bad.yaml, line 2" in complaint(capsys, "run", "bad.yaml")
    (folder / "bytes.yaml").write_bytes(b"\x80\x81")
    assert "bytes.yaml: wanted UTF-8 text" in complaint(capsys, "run", "bytes.yaml")
    (folder / "bad.safetensors").write_bytes(b"no weights")
    said = complaint(capsys, "inspect", "resnet8", "--weights", "bad.safetensors")
    assert "bad.safetensors: wanted a whole safetensors file" in said
    (folder / "images" / "one").mkdir(parents=True)
    (folder / "images" / "one" / "a.png").write_bytes(b"no picture")
    assert "images" in complaint(capsys, "run", "quickstart", "data.name=null", "data.path=images")
    (folder / "file").write_text("x")
    assert "file" in complaint(capsys, "run", "quickstart", "--out", "file")
    assert "file" in complaint(capsys, "run", "quickstart", "--out", "file/run")


def test_a_run_directory_in_use_is_refused(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "runs" / "quickstart").mkdir(parents=True)
    (folder / "runs" / "quickstart" / "notes.txt").write_text("x")
    assert "wanted a new or empty directory" in complaint(capsys, "demo")
    assert "no config.yaml" in complaint(capsys, "demo", "--resume")


def test_inspect_names_axes_and_what_is_not_prunable(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write_module(folder, NET, "net_to_inspect")
    assert call("inspect", "net_to_inspect:make", "--input", "2x8") == 0
    text = capsys.readouterr().out
    assert "1 axes, 16 units" in text
    assert "2.weight[0]" in text.split("not prunable:")[1]


def test_cost_counts(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write_module(folder, NET, "net_to_count")
    assert call("cost", "net_to_count:make", "--input", "1x8", "--option", "width=32", "--train", "--latency") == 0
    text = capsys.readouterr().out
    parameters = 8 * 32 + 32 + 32 * 4 + 4
    for word in (
        f"{parameters:,}",
        f"{4 * parameters:,}",
        f"{8 * 32 + 32 * 4:,}",
        "GOps of a training step",
        "operations of 1 images; GOps per image",
        "median ms",
        "GOps/s reached: ",
    ):
        assert word in text


def test_prune_writes_a_network_that_loads(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    write_module(folder, NET, "net_to_prune")
    arguments = ["net_to_prune:make", "--input", "1x8", "--remove", "macs=0.5", "--out", "small.safetensors"]
    assert call("prune", *arguments) == 0
    text = capsys.readouterr().out
    assert "50.00 %" in text
    assert "verified" in text
    assert "2.weight[0]" in text
    small = load("small.safetensors", lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)))
    assert small(torch.zeros(1, 8)).shape == (1, 4)
    assert sum(p.numel() for p in small.parameters()) == 8 * 8 + 8 + 8 * 4 + 4
