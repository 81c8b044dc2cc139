"""`secateurs export`, as a user gives it."""

import json
import shlex
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

import secateurs as sec
from secateurs.cli._main import app
from secateurs.recipes import dump_yaml, left_by, parse

RECIPE = {
    "name": "tiny",
    "model": {"name": "mlp", "options": {"widths": [12, 8]}},
    "data": {"name": "digits"},
    "stages": [{"type": "prune", "remove": {"macs": 0.5}}],
}


def _secateurs(command: str) -> Result:
    return CliRunner().invoke(app, shlex.split(command))


def _cut_mlp(size: int, channels: int = 1) -> sec.Result:
    model = sec.models.build("mlp", widths=(12, 8), size=size, channels=channels)
    return sec.prune(model, torch.randn(1, channels, size, size), remove={"macs": 0.5})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A directory as a run leaves it."""
    folder = tmp_path / "runs" / "tiny"
    stage = folder / "stages" / "01-prune"
    stage.mkdir(parents=True)
    (folder / "config.yaml").write_text(dump_yaml(parse(RECIPE, source="here").resolved()))
    stages = [{"name": "01-prune", "status": "finished"}]
    state = {"status": "finished", "made_for": {"classes": 10, "shape": [1, 8, 8]}, "stages": stages}
    (folder / "run.json").write_text(json.dumps(state))
    sec.save(_cut_mlp(8), stage / "model.safetensors")
    return folder


def test_a_run_knows_its_network(run: Path) -> None:
    done = _secateurs(f"export {run} --to pt2")
    assert done.exit_code == 0, done.output
    assert "takes x float32 [batch, 1, 8, 8]" in done.output
    assert sorted(path.name for path in (run / "export").iterdir()) == ["model.pt2", "model.pt2.json"]
    left = left_by(run / "stages" / "01-prune" / "model.safetensors")
    assert left is not None
    assert left.run == run
    x = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(torch.export.load(run / "export" / "model.pt2").module()(x), left.model.eval()(x))


@pytest.mark.slow
def test_a_run_that_noted_less_looks_at_its_data(run: Path) -> None:
    pytest.importorskip("sklearn", reason="the extra `train` is not installed")
    state = json.loads((run / "run.json").read_text())
    del state["made_for"]
    (run / "run.json").write_text(json.dumps(state))
    left = left_by(run)
    assert left is not None
    assert left.shape == (1, 8, 8)


def test_a_file_by_itself_needs_the_network_and_no_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sec.save(_cut_mlp(8), "small.safetensors")
    done = _secateurs(
        "export small.safetensors --model mlp --option widths=[12,8] --option size=8 --out a.pt2 --input 4x1x8x8"
    )
    assert done.exit_code == 0, done.output
    assert json.loads(Path("a.pt2.json").read_text())["proof"]["error"] == 0.0
    sec.save(_cut_mlp(8), tmp_path / "small.safetensors")
    done = _secateurs("export small.safetensors --model tests.export._nets:mlp_of_8 --to pt2 --batch 3")
    assert done.exit_code == 0, done.output
    assert json.loads(Path("small.pt2.json").read_text())["inputs"][0]["shape"] == [3, 1, 8, 8]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("missing.safetensors", "wanted a checkpoint, got nothing of that name"),
        ("small.safetensors", "--model resnet20 or --model package.module:factory"),
        ("small.safetensors --batch many", "--batch: wanted dynamic or a number of samples, got 'many'"),
        ("small.safetensors --model mlp --to onnx --out a.pt2", "wanted a file ending in .onnx, got a.pt2"),
        ("small.safetensors --model tests.export._nets:mlp_of_8 --to pretrained", "wanted a model with config"),
    ],
)
def test_what_makes_no_sense_is_said(words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sec.save(_cut_mlp(8), "small.safetensors")
    done = _secateurs(f"export {words}")
    assert isinstance(done.exception, sec.SecateursError)
    assert message in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["small.safetensors"]


def test_a_study_of_several_runs_is_refused(run: Path) -> None:
    config = parse({**RECIPE, "seeds": [0, 1]}, source="here").resolved()
    (run / "config.yaml").write_text(dump_yaml(config))
    done = _secateurs(f"export {run}")
    assert "wanted the directory of one run" in str(done.exception)


@pytest.mark.slow
def test_a_run_just_made_is_exported_without_further_words(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    out = tmp_path / "demo"
    done = _secateurs(f"run quickstart stages.0.epochs=1 stages.2.epochs=1 --out {out}")
    assert done.exit_code == 0, done.output
    assert json.loads((out / "run.json").read_text())["made_for"] == {"classes": 10, "shape": [1, 8, 8]}
    done = _secateurs(f"export {out} --to onnx --latency")
    assert done.exit_code == 0, done.output
    assert json.loads((out / "export" / "model.onnx.json").read_text())["proof"]["error"] < 1e-4
