"""Channels that a cut network still reads, against what the dense network reads when it computes as if cut."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from secateurs import apply, kept_inputs, models, select, trace
from secateurs._errors import PlanError
from secateurs.criteria import Random
from secateurs.surgery import masked

NETS: dict[str, tuple[dict[str, Any], int]] = {
    "resnet8": ({"width": 0.5}, 16),
    "alexnet": ({}, 32),
    "mlp": ({"widths": [12, 9]}, 28),
}


def _made(name: str) -> tuple[nn.Module, Tensor]:
    options, size = NETS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.build(name, classes=4, channels=1 if name == "mlp" else 3, **options)
    x = torch.randn(2, 1 if name == "mlp" else 3, size, size, generator=torch.Generator().manual_seed(0))
    return model.double().eval(), x.double()


def _cut(model: nn.Module, x: Tensor, ratio: float, seed: int) -> tuple[nn.Module, Any]:
    graph = trace(model, x)
    plan = select(graph, Random(seed=seed)(graph), {"macs": ratio})
    return apply(model, plan, verify=False).model, plan


def _reads(model: nn.Module, x: Tensor, paths: list[str]) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}

    def see(path: str, _layer: nn.Module, args: tuple[Any, ...]) -> None:
        seen[path] = args[0].clone()

    handles = [model.get_submodule(path).register_forward_pre_hook(partial(see, path)) for path in paths]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("name", NETS)
def test_they_hold_what_the_network_as_if_cut_reads(name: str) -> None:
    model, x = _made(name)
    cut, plan = _cut(model, x, 0.4, seed=1)
    channels = kept_inputs(cut, model, x, layers="*")
    assert len(channels) >= 2
    with masked(model, plan) as dense:
        wanted = _reads(dense, x, list(channels))
    for path, got in _reads(cut, x, list(channels)).items():
        dim = -1 if isinstance(cut.get_submodule(path), nn.Linear) else 1
        torch.testing.assert_close(got, wanted[path].index_select(dim, channels[path]))


def test_channels_count_from_whichever_network_is_given() -> None:
    model, x = _made("resnet8")
    once, _ = _cut(model, x, 0.3, seed=1)
    twice, _ = _cut(once, x, 0.3, seed=2)
    first, second = kept_inputs(once, model, x, layers="*"), kept_inputs(twice, once, x, layers="*")
    both = kept_inputs(twice, model, x, layers="*")
    assert all(torch.equal(both[path], first[path][second[path]]) for path in both)
    with pytest.raises(PlanError, match="a dense network with all channels"):
        kept_inputs(once, twice, x, layers="*")
    same = kept_inputs(model, model, x)
    assert all(torch.equal(own, torch.arange(len(own))) for own in same.values())


def test_by_default_the_last_layer_of_each_size_is_taken() -> None:
    model, x = _made("resnet8")
    assert list(kept_inputs(model, model, x)) == ["layer2.0.conv1", "layer3.0.conv1", "layer3.0.conv2", "linear"]
    assert list(kept_inputs(model, model, x, layers=["layer*.conv2"])) == [f"layer{i}.0.conv2" for i in (1, 2, 3)]


def test_layers_that_are_not_there_are_named() -> None:
    model, x = _made("resnet8")
    with pytest.raises(PlanError, match=r"layer9\..*which matches none"):
        kept_inputs(model, model, x, layers=["layer9.*"])
    with pytest.raises(PlanError, match="layers that both networks have"):
        kept_inputs(model, nn.Identity(), x)


def test_the_network_is_left_as_it_was() -> None:
    model, x = _made("resnet8")
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    kept_inputs(model, model, x)
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
