"""Exported files give what the models give, or are not there."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import secateurs as sec
from secateurs.dynamic import gate
from secateurs.export import _writers, export
from tests.export._nets import cut, image, residual

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
pytest.importorskip("onnxscript", reason="the extra `export` is not installed")


def _in_onnxruntime(file: Path, images: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: images.numpy()})[0])


def test_a_cut_network_with_scatters_gives_the_same_in_onnxruntime(tmp_path: Path) -> None:
    result = cut(residual(), image(), kinds=("branch",))
    assert result.plan.scatters
    exported = export(result, tmp_path / "small.onnx")
    assert exported.proof.error < 1e-4
    assert exported.proof.reacts
    assert json.loads((tmp_path / "small.onnx.json").read_text())["proof"]["error"] == exported.proof.error
    assert {trial.batch for trial in exported.proof.trials} == {1, 2, 3, 8}
    for batch in (1, 5):
        with torch.no_grad():
            expected = result.model(image(batch))
        torch.testing.assert_close(
            _in_onnxruntime(tmp_path / "small.onnx", image(batch)), expected, rtol=1e-4, atol=1e-4
        )


@pytest.mark.slow
def test_the_report_beside_the_file_says_what_it_takes_and_how_it_was_proved(tmp_path: Path) -> None:
    exported = export(cut(residual(), image()), tmp_path / "small.onnx", latency=(1, 2))
    content = json.loads((tmp_path / "small.onnx.json").read_text())
    assert content["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["batch", 3, 8, 8]}]
    assert content["outputs"] == [{"name": "output", "dtype": "float32", "shape": ["batch", 5]}]
    assert content["proof"]["error"] == exported.proof.error
    assert content["bytes"] == (tmp_path / "small.onnx").stat().st_size
    timed = {(row["runtime"], row["batch_size"]) for row in content["latency"]["rows"]}
    ran = {"eager", "onnxruntime", "compiled"} - content["not_timed"].keys()
    assert timed == {(runtime, batch) for runtime in ran for batch in (1, 2)}
    assert content["latency"]["versions"]["onnxruntime"] == onnxruntime.__version__
    assert "onnxruntime" in str(exported)


@pytest.mark.slow
def test_files_say_nothing_of_the_machine_and_repeat(tmp_path: Path) -> None:
    result = cut(residual(), image())
    for name in ("a", "b"):
        export(result, tmp_path / f"{name}.onnx")
    content = (tmp_path / "a.onnx").read_bytes()
    assert content == (tmp_path / "b.onnx").read_bytes()
    assert b".py" not in content
    assert str(Path.cwd()).encode() not in content


def test_a_program_runs_without_the_models_code(tmp_path: Path) -> None:
    result = cut(residual(), image(), kinds=("channel", "branch"))
    exported = export(result, tmp_path / "small.pt2")
    assert exported.proof.error == 0.0
    assert exported.opset is None
    loaded = torch.export.load(tmp_path / "small.pt2").module()
    with torch.no_grad():
        assert torch.equal(loaded(image(7)), result.model(image(7)))
    assert b".py" not in (tmp_path / "small.pt2").read_bytes()


def test_a_fixed_batch_takes_that_number_alone(tmp_path: Path) -> None:
    exported = export(residual(), tmp_path / "two.pt2", image(), batch=2)
    assert exported.inputs[0].shape == (2, 3, 8, 8)
    assert {trial.batch for trial in exported.proof.trials} == {2}


class _Counts(nn.Module):
    """Code that only works for two samples."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x).reshape(2, 3)
        return y


def test_code_that_needs_a_number_of_samples_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(sec.GraphError, match="batch=1"):
        export(_Counts(), tmp_path / "a.pt2", torch.randn(2, 4))
    assert list(tmp_path.iterdir()) == []
    assert export(_Counts(), tmp_path / "a.pt2", torch.randn(2, 4), batch=2).proof.error == 0.0


class _Branching(nn.Module):
    """Code that looks at values."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1 if float(x.sum()) > 0 else x - 1


def test_code_that_branches_on_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sec.GraphError, match=r"wanted a call that torch\.export can follow"):
        export(_Branching(), tmp_path / "a.pt2", torch.randn(2, 4))


def test_a_file_that_differs_is_deleted_and_the_old_one_stays(tmp_path: Path) -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand_like(x)

    old = tmp_path / "a.pt2"
    old.write_bytes(b"as before")
    with pytest.raises(sec.VerifyError, match="wanted outputs equal to the model's"):
        export(Noisy(), old, torch.randn(2, 4))
    assert old.read_bytes() == b"as before"
    assert list(tmp_path.iterdir()) == [old]


def test_outputs_without_numbers_prove_nothing(tmp_path: Path) -> None:
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.fill_(float("nan"))
    with pytest.raises(sec.VerifyError, match="nothing but NaN"):
        export(model, tmp_path / "a.pt2", torch.randn(2, 4))


def test_outputs_that_ignore_the_inputs_are_told_of(tmp_path: Path) -> None:
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.zero_()
    exported = export(model, tmp_path / "a.pt2", torch.randn(2, 4))
    assert not exported.proof.reacts
    assert "proves little" in exported.notes[0]


def test_gated_networks_compute_every_block_and_say_so(tmp_path: Path) -> None:
    model = gate(residual(), image(), first=True, bias=0.0, seed=0).eval()
    exported = export(model, tmp_path / "gated.pt2", image())
    assert exported.proof.error < 1e-6
    assert "its saving is not in the file" in exported.notes[0]


def test_the_model_is_left_as_it_is(tmp_path: Path) -> None:
    model = residual().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export(model, tmp_path / "a.pt2", image())
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_bad_requests_are_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(sec.ConfigError, match=r"wanted a file ending in \.onnx or \.pt2, got '\.onx'"):
        export(residual(), tmp_path / "a.onx", image())
    with pytest.raises(sec.ConfigError, match="export batch: wanted 'dynamic'"):
        export(residual(), tmp_path / "a.pt2", image(), batch=0)
    with pytest.raises(sec.ConfigError, match="wanted an example"):
        export(residual(), tmp_path / "a.pt2")
    monkeypatch.setattr(_writers, "find_spec", lambda name: None)
    with pytest.raises(sec.ConfigError, match=r"pip install 'secateurs\[export\]'"):
        export(residual(), tmp_path / "a.onnx", image())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_several_inputs_outputs_and_integers(tmp_path: Path) -> None:
    class Tagged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.mix = nn.Embedding(10, 4), nn.Linear(4, 3)

        def forward(self, tokens: Tensor, *, scale: Tensor) -> dict[str, Tensor]:
            found = self.table(tokens)
            return {"mixed": self.mix(found) * scale[:, None, None], "mean": found.mean(1)}

    tokens, scale = torch.randint(10, (2, 6)), torch.rand(2)
    exported = export(Tagged(), tmp_path / "a.onnx", (tokens,), {"scale": scale})
    assert [port.name for port in exported.inputs] == ["tokens", "scale"]
    assert [port.shape for port in exported.outputs] == [("batch", 6, 3), ("batch", 4)]
