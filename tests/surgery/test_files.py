"""Cut models on disk: whole and equal, or a clear error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from secateurs import SecateursError
from secateurs._files import load_tensors, save_tensors
from secateurs.surgery import apply, load, save
from tests.surgery._proof import outputs
from tests.surgery._state import unchanged
from tests.surgery.test_refused import trained
from tests.zoo import ZOO

DENSE = ZOO["residual"].build


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A cut residual network on disk."""
    model, _, plan, _ = trained()
    save(apply(model, plan), tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


def test_equal_models_give_equal_files_without_times_or_paths(tmp_path: Path) -> None:
    for name in ("a", "b"):
        model, _, plan, _ = trained()
        save(apply(model, plan), tmp_path / name / "model.safetensors")
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert one == two
    assert str(tmp_path).encode() not in one


def test_saving_leaves_the_model_alone(tmp_path: Path) -> None:
    model, _, plan, _ = trained()
    result = apply(model, plan)
    with unchanged(result.model):
        save(result, tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").exists()


def test_a_model_never_cut_is_saved_too(tmp_path: Path) -> None:
    model, _, _, x = trained()
    save(model, tmp_path / "dense.safetensors")
    loaded = load(tmp_path / "dense.safetensors", DENSE)
    assert torch.equal(loaded.eval()(x), model.eval()(x))


def test_training_after_the_cut_is_saved(tmp_path: Path) -> None:
    model, optimizer, plan, x = trained()
    smaller = apply(model, plan, optimizer=optimizer).model.train()
    smaller(x).square().sum().backward()
    optimizer.step()
    save(smaller, tmp_path / "trained.safetensors")
    loaded = load(tmp_path / "trained.safetensors", DENSE)
    assert torch.equal(loaded.eval()(x), smaller.eval()(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_types_come_back(dtype: torch.dtype, tmp_path: Path) -> None:
    model, _, plan, x = trained()
    smaller = apply(model, plan).model.to(dtype).eval()
    save(smaller, tmp_path / "typed.safetensors")
    loaded = load(tmp_path / "typed.safetensors", DENSE).eval()
    assert {tensor.dtype for tensor in loaded.parameters()} == {dtype}
    for one, two in zip(outputs(smaller, ((x.to(dtype),), {})), outputs(loaded, ((x.to(dtype),), {})), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", ["shared_weight", "tied_embedding", "tied_transposed"])
def test_ties_come_back(name: str, tmp_path: Path) -> None:
    model, _, plan, x = trained(name)
    smaller = apply(model, plan).model.eval()
    save(smaller, tmp_path / "tied.safetensors")
    loaded = load(tmp_path / "tied.safetensors", ZOO[name].build).eval()
    assert [path for path, _ in loaded.named_parameters()] == [path for path, _ in smaller.named_parameters()]
    assert torch.equal(smaller(x), loaded(x))


def test_inference_mode_gives_models_that_train(saved: Path) -> None:
    with torch.inference_mode():
        loaded = load(saved, DENSE)
    loaded(torch.randn(2, 3, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in loaded.parameters())


# ---------------------------------------------------------------------- damaged, foreign, of another model

Damage = Callable[[Path], None]


def _bytes(change: Callable[[bytes], bytes]) -> Damage:
    return lambda path: void(path.write_bytes(change(path.read_bytes())))


def void(_value: object) -> None:
    """For lambdas that are called for what they do."""


def _tensors(change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Damage:
    def damage(path: Path) -> None:
        tensors, metadata = load_tensors(path)
        save_tensors(path, change(tensors), metadata)

    return damage


def _plans(change: Callable[[Any], Any]) -> Damage:
    def damage(path: Path) -> None:
        tensors, metadata = load_tensors(path)
        save_tensors(path, tensors, {"plans": json.dumps(change(json.loads(metadata["plans"])))})

    return damage


def _metadata(text: str) -> Damage:
    return lambda path: save_file(load_file(path), path, {"secateurs": text})


def _shifted(plans: Any) -> Any:
    plans[0]["cuts"][0]["removed"] = [99]
    return plans


DAMAGES: dict[str, tuple[Damage, str]] = {
    "empty": (_bytes(lambda content: content[:0]), "wanted a whole safetensors file"),
    "truncated head": (_bytes(lambda content: content[:20]), "wanted a whole safetensors file"),
    "truncated body": (_bytes(lambda content: content[:-9]), "wanted a whole safetensors file"),
    "longer": (_bytes(lambda content: content + b"more"), "wanted a whole safetensors file"),
    "noise": (_bytes(lambda content: bytes(range(256)) * 8), "wanted a whole safetensors file"),
    "a byte of a weight changed": (
        _bytes(lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        "wanted a whole safetensors file, got content that its SHA-256 does not fit",
    ),
    "missing": (lambda path: path.unlink(), "wanted a safetensors file, got no such file"),
    "a tensor missing": (
        _tensors(lambda tensors: {k: v for k, v in tensors.items() if k != "a1.weight"}),
        r"wanted the model's weights, got missing \['a1\.weight'\], unexpected \[\]",
    ),
    "a tensor more": (
        _tensors(lambda tensors: {**tensors, "more": torch.ones(2)}),
        r"missing \[\], unexpected \['more'\]",
    ),
    "another shape": (
        _tensors(lambda tensors: {**tensors, "a1.weight": torch.ones(2, 2, 3, 3)}),
        r"wanted weights of fitting shapes, got size mismatch for a1\.weight",
    ),
    "foreign": (
        lambda path: save_file({"w": torch.ones(3)}, path),
        r"wanted the model's weights, got missing .* Load it with the factory",
    ),
    "plans left out": (_plans(lambda plans: []), r"wanted weights of fitting shapes"),
    "plans of another kind": (_plans(lambda plans: {"plan": plans}), r"wanted "),
    "a plan of nothing": (_plans(lambda plans: [None]), r"wanted a plan written by Plan\.save"),
    "a plan with a position out of range": (_plans(_shifted), r"wanted a plan written by Plan\.save"),
    "metadata that is no JSON": (_metadata("{"), r"wanted "),
    "metadata of another kind": (_metadata("[1]"), r"wanted "),
    "plans that are no text": (_metadata('{"plans": 3}'), r"wanted "),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_are_refused(name: str, saved: Path) -> None:
    damage, message = DAMAGES[name]
    damage(saved)
    with pytest.raises(SecateursError, match=message) as caught:
        load(saved, DENSE)
    assert "small.safetensors" in str(caught.value)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecateursError, match="wanted a safetensors file"):
        load(tmp_path, DENSE)


def test_a_factory_of_another_model_is_refused(saved: Path) -> None:
    with pytest.raises(SecateursError, match=r"wanted shape .*no such tensor.*Apply a plan to the model"):
        load(saved, ZOO["mlp"].build)


@pytest.mark.parametrize("made", [None, 3, "model", {"weight": torch.ones(2)}])
def test_a_factory_of_no_model_is_refused(saved: Path, made: Any) -> None:
    with pytest.raises(SecateursError, match=r"wanted a torch\.nn\.Module"):
        load(saved, lambda: made)


def test_an_unwritable_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SecateursError, match=r"wanted a directory that can be made"):
        save(DENSE(), tmp_path / "file" / "model.safetensors")
