"""Every reference network, cut in every way that it can be, gives in onnxruntime what it gives in PyTorch."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import secateurs as sec
from secateurs import models
from secateurs.criteria import Loss
from secateurs.export import export

pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
pytest.importorskip("onnxscript", reason="the extra `export` is not installed")


def _network(name: str, *, narrow: bool) -> tuple[nn.Module, Tensor]:
    """The network with random weights and statistics; a quarter as wide where that is an option."""
    entry = models.TABLE[name]
    smaller = {"filters": (8, 8), "widths": (64, 32), "latent": 10}
    options: dict[str, Any] = {key: smaller[key] for key in smaller.keys() & entry.options.keys()} if narrow else {}
    if narrow and "width" in entry.options:
        options["width"] = entry.options["width"] / 4
    size = 64 if entry.input_shape[1] > 64 else entry.input_shape[1]
    if narrow and name.startswith("conv"):  # their linear layers grow with images, and factors with the square of that
        size = options["size"] = 16
    torch.manual_seed(0)
    model = models.build(name, **options).eval()
    _shake(model)
    return model, torch.randn(1, entry.input_shape[0], size, size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def _shake(model: nn.Module) -> None:
    """Norms and biases that are all different; with far larger ones, deep networks would not react to images."""
    generator = torch.Generator().manual_seed(0)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point() and tensor.dim() == 1:
            tensor.add_(0.1 * torch.rand(tensor.shape, generator=generator))


def _check(model: nn.Module, example: Tensor, folder: Path) -> None:
    exported = export(model, folder / "small.onnx", example)
    assert exported.proof.error < 1e-4
    assert exported.proof.reacts
    assert {trial.batch for trial in exported.proof.trials} == {1, 2, 3, 8}


def _cut(name: str, folder: Path, *, narrow: bool) -> None:
    model, example = _network(name, narrow=narrow)
    result = sec.prune(model, example, remove={"macs": 0.5}, verify=False)
    _check(result.model, example, folder)


def test_one_after_a_cut(tmp_path: Path) -> None:
    _cut("mlp", tmp_path, narrow=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
def test_all_after_a_cut(name: str, tmp_path: Path) -> None:
    _cut(name, tmp_path, narrow=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
def test_all_after_a_cut_of_branches(name: str, tmp_path: Path) -> None:
    model, example = _network(name, narrow=True)
    graph = sec.trace(model, example)
    if not any(axis.kind == "branch" for axis in graph.axes):
        assert name.startswith(("mlp", "fc", "alexnet", "conv", "googlenet", "squeezenet", "vae", "vgg"))
        return
    plan = sec.select(graph, sec.criteria.Magnitude()(graph), remove={"macs": 0.2}, kinds=("branch",))
    assert plan.scatters
    _check(sec.apply(model, plan, verify=False).model, example, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
def test_all_after_a_cut_in_the_eigenbasis(name: str, tmp_path: Path) -> None:
    model, example = _network(name, narrow=True)
    images = torch.randn(16, *example.shape[1:], generator=torch.Generator().manual_seed(2))
    if models.TABLE[name].objective == "elbo":
        _rotate_and_check(model, [(images, images)], _rebuilding, example, tmp_path)
    else:
        _rotate_and_check(model, [(images, torch.arange(16) % 10)], F.cross_entropy, example, tmp_path)


def _rotate_and_check(
    model: nn.Module, batches: list[tuple[Tensor, Tensor]], loss: Loss, example: Tensor, folder: Path
) -> None:
    options = sec.eigen.EigenOptions(factors=sec.eigen.FactorOptions(fisher="empirical"))
    small = sec.eigen.rotate(model, batches, remove={"macs": 0.2}, options=options, loss=loss, verify=False)
    assert any(isinstance(module, sec.eigen.Bottleneck) for module in small.modules())
    _check(small, example, folder)


def _rebuilding(outputs: Any, images: Any) -> Tensor:
    loss: Tensor = (outputs[0].sigmoid() - images).square().mean()
    return loss


@pytest.mark.slow
def test_a_gated_network_gives_its_own_outputs(tmp_path: Path) -> None:
    model, example = _network("resnet8", narrow=True)
    gated = sec.dynamic.gate(model, example, bias=0.0, seed=0).eval()
    exported = export(gated, tmp_path / "gated.onnx", example)
    assert exported.proof.error < 1e-4
    assert "its saving is not in the file" in exported.notes[0]
