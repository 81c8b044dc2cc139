"""Masked channels that are really cut: the same outputs, and the cost that was said."""

from typing import Any

import pytest
import torch
from torch import nn

import secateurs as sec
from secateurs.masks import MaskOptions, UnitMasks, apply_masks, maskable_layers, plan_of, random_masks, settled

NETWORKS: dict[str, tuple[dict[str, Any], int]] = {
    "conv4": ({"width": 0.25}, 32),
    "resnet8": ({}, 16),
    "resnet20": ({"shortcut": "A"}, 16),
    "resnet20 with projections": ({"shortcut": "B"}, 16),
    "vgg11_bn": ({"width": 0.25}, 32),
    "resnet9": ({"width": 0.25}, 32),
}


def _network(name: str) -> tuple[nn.Module, torch.Tensor]:
    options, size = NETWORKS[name]
    torch.manual_seed(0)
    model = sec.models.build(name.split()[0], **options).eval()
    with torch.no_grad():
        for path, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if path.endswith(("bn1.weight", "bn2.weight", "running_var")):
                tensor.uniform_(0.5, 1.5)
            elif path.endswith(("bias", "running_mean")):
                tensor.normal_(std=0.2)
    return model, torch.randn(2, 3, size, size)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_cut_network_is_the_masked_one_at_the_planned_cost(name: str) -> None:
    model, x = _network(name)
    graph = sec.trace(model, args=(x,))
    masks = random_masks(graph, MaskOptions(rate=0.5, protect=("linear_last",)), seed=1)
    dense = model(x)
    apply_masks(model, masks.weights(graph))
    masked = model(x)
    assert not torch.allclose(masked, dense, rtol=1e-2)
    layers = maskable_layers(model, graph)
    plan = plan_of(graph, layers, masks.units)
    assert settled(plan, layers, masks.units) == {}
    small = sec.apply(model, plan, example=(x,)).model
    torch.testing.assert_close(small(x), masked, rtol=0, atol=1e-5 * float(masked.detach().abs().max()))
    counted = sec.cost(small, args=(x,))
    assert counted.macs == plan.cost.macs < 0.6 * plan.before.macs
    assert counted.params == plan.cost.params
    for layer in layers:
        rows = small.get_parameter(layer.weight).shape[0]
        assert rows == int(masks.units[layer.name].sum())


def test_masks_are_kept_in_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("masks") / "masks.safetensors"
    model, x = _network("resnet8")
    options = MaskOptions(rate=0.3, rates=(0.1, 0.2), protect=("linear_last",), granularity="kernel")
    masks = random_masks(sec.trace(model, args=(x,)), options, seed=0)
    masks.save(path)
    first = path.read_bytes()
    loaded = UnitMasks.load(path)
    assert loaded.options == options
    assert loaded.origin == "random"
    assert all(torch.equal(kept, masks.units[name]) for name, kept in loaded.units.items())
    loaded.save(path)
    assert path.read_bytes() == first


def test_another_file_is_no_masks(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("masks") / "model.safetensors"
    model, _ = _network("resnet8")
    sec.save(model, path)
    with pytest.raises(sec.SecateursError, match="masks"):
        UnitMasks.load(path)
