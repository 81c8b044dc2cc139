"""What the README shows is run as it stands there."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from secateurs.cli._main import app

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"^\.venv/bin/secateurs ([^#\n]+)", README, re.MULTILINE)


def test_the_examples_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for example in EXAMPLES:
        exec(example, names)
    assert len(EXAMPLES) == 3
    assert (tmp_path / "small.safetensors").is_file()
    printed = capsys.readouterr().out
    assert "macs" in printed
    assert "verified to" in printed


def test_the_commands_that_do_not_train_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (line for line in COMMANDS if not line.startswith(("run ", "sweep "))):
        if command.startswith("export ") and find_spec("onnxruntime") is None:
            continue  # only with the extra `export`
        result = CliRunner().invoke(app, shlex.split(command))
        assert result.exit_code == 0, result.output
        assert result.output.strip()


@pytest.mark.parametrize(("command", "folder"), [("run", "recipes"), ("sweep", "recipes/sweeps")])
def test_the_commands_that_train_name_ready_files(command: str, folder: str) -> None:
    ready = {path.stem for path in (Path(__file__).parent.parent / folder).glob("*.yaml")}
    named = {line.split()[1] for line in COMMANDS if line.startswith(f"{command} ")}
    assert named
    assert named <= ready
