"""Networks with gates, cut in the eigenbasis."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import secateurs as sec
from secateurs import models
from secateurs.dynamic import GATES, Given, deciding, gate, gated_cost, gates_of, routes
from secateurs.eigen import Bottleneck, rotate
from secateurs.statistics import kronecker_factors
from tests.dynamic._nets import gated, images, randomised


def batches() -> list[tuple[Tensor, Tensor]]:
    """Eight images in batches of four."""
    x = images(8)
    return [(part, torch.arange(4)) for part in x.split(4)]


@torch.no_grad()
def test_gates_stay_and_skip_cut_blocks() -> None:
    model, x = gated().eval(), images(4)
    small = rotate(model, batches(), remove={"macs": 0.3}, protect=[GATES]).eval()
    before, after = model.state_dict(), small.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if "skip_gate" in name)
    dense, cut = gated_cost(model, (x[:1],)), gated_cost(small, (x[:1],))
    assert cut.macs <= 0.7 * dense.macs
    assert cut.gate_macs == dense.gate_macs
    assert sum(cut.shares) == pytest.approx(1)
    assert cut.macs - sum(cut.blocks.values()) == cut.expected([0.0] * 8) > 0
    with deciding(small, Given(torch.zeros(8, 1))):
        calls: list[nn.Module] = []
        for path in gates_of(small):
            for module in small.get_submodule(path).modules():
                if isinstance(module, Bottleneck):
                    module.register_forward_hook(lambda module, _args, _output: calls.append(module))
        small(x)
    assert not calls


def test_what_the_first_image_skips_is_cut_all_the_same() -> None:
    model = gated().eval()
    first = routes(model, [(images(8)[:1], torch.zeros(1, dtype=torch.int64))]).runs[0]
    assert not first.all(), "an image that takes every block proves little"
    small = rotate(model, batches(), remove={"params": 0.5}, protect=[GATES])
    for path in gates_of(small):
        assert any(isinstance(module, Bottleneck) for module in small.get_submodule(path).modules()), path


def test_factors_are_means_over_all_images_whatever_gates_decide() -> None:
    """One batch or many, the same: an image that skips a layer has a gradient of zero there."""
    model = gated().double().eval()
    whole = [(images(8).double(), torch.arange(8))]
    parts = [(x, y) for x, y in zip(whole[0][0].split(1), whole[0][1].split(1), strict=True)]
    loss = nn.CrossEntropyLoss()
    options = sec.statistics.FactorOptions(fisher="empirical")
    one, many = (kronecker_factors(model, found, options=options, loss=loss) for found in (whole, parts))
    assert one.keys() == many.keys()
    for path, factors in one.items():
        torch.testing.assert_close(many[path].outputs, factors.outputs)
        torch.testing.assert_close(many[path].inputs, factors.inputs)


def test_the_result_is_saved_loaded_and_cut_on(tmp_path: Path) -> None:
    x = images(3)

    def factory() -> nn.Module:
        return models.build("resnet8", width=0.5)

    torch.manual_seed(2)
    model = gate(randomised(factory()), (x,), bias=0.0, seed=4)
    model = rotate(model, batches(), remove={"macs": 0.3}, protect=[GATES])
    model = sec.prune(model, (x,), remove={"params": 0.3}, protect=[GATES]).model
    model = rotate(model, batches(), remove={"params": 0.2}, protect=[GATES]).eval()
    sec.save(model, tmp_path / "a.safetensors")
    again = sec.load(tmp_path / "a.safetensors", factory).eval()
    with torch.no_grad():
        torch.testing.assert_close(again(x), model(x), rtol=0, atol=0)
    assert list(gates_of(again)) == ["layer2.0", "layer3.0"]
    assert gated_cost(again, (x[:1],)).blocks == gated_cost(model, (x[:1],)).blocks
