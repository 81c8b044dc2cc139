"""Multiply-adds by block, and as gates decide, against what is really computed."""

import pytest
import torch
from torch import Tensor, nn

import secateurs as sec
from secateurs import GraphError, models
from secateurs.dynamic import Given, deciding, gated_cost, gates_of, routes
from tests.dynamic._nets import gated, images


def counted(model: nn.Module, x: Tensor, decisions: Tensor) -> int:
    """Of convolutions and linear layers, at every call; the LSTM's cell by its definition."""
    macs = 0

    def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        if isinstance(module, nn.LSTMCell):
            macs += len(args[0]) * 4 * module.hidden_size * (module.input_size + module.hidden_size)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            macs += output.numel() * module.weight[0].numel()

    handles = [module.register_forward_hook(hook) for module in model.modules()]
    with torch.no_grad(), deciding(model, Given(decisions)):
        model(x)
    for handle in handles:
        handle.remove()
    return macs


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize("head", ["rnn", "ff1", "ff2"])
def test_expected_macs_are_those_computed(head: str, shortcut: str) -> None:
    model, x = gated(head, shortcut=shortcut), images(8)  # type: ignore[arg-type]
    cost = gated_cost(model, (x[:1],))
    assert cost.macs == sec.cost(model, (x[:1],)).macs == counted(model, x[:1], torch.ones(8, 1))
    plain = models.build("resnet20", width=0.25, shortcut=shortcut)
    assert cost.macs - cost.gate_macs == sec.cost(plain, (x[:1],)).macs
    decisions = torch.rand(8, 8, generator=torch.Generator().manual_seed(4)) < 0.5
    rates = decisions.double().mean(1).tolist()
    assert 8 * cost.expected(rates) == pytest.approx(counted(model, x, decisions))
    assert sum(cost.shares) == pytest.approx(1)


def test_a_projection_is_computed_once_where_all_is_computed() -> None:
    model = gated().train()
    norm = model.get_submodule("layer2.0.shortcut.1")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.num_batches_tracked is not None
    before = int(norm.num_batches_tracked)
    model(images(4))
    assert int(norm.num_batches_tracked) == before + 1


def test_routes_tell_what_each_image_took() -> None:
    model, x = gated(), images(12)
    labels = torch.arange(12) % 3
    found = routes(model, [(x[:5], labels[:5]), (x[5:], labels[5:])])
    assert found.runs.shape == (12, 8)
    assert sum(found.histogram) == 12
    assert sum(depth * images_ for depth, images_ in enumerate(found.histogram)) == int(found.depths.sum())
    assert found.rates == tuple(found.runs.double().mean(0).tolist())
    by_class = found.depth_by_class(4)
    assert by_class[3] is None
    assert by_class[1] == pytest.approx(float(found.depths[[1, 4, 7, 10]].double().mean()))
    shortest, longest = found.extremes(3)
    assert found.depths[shortest].max() <= found.depths.median() <= found.depths[longest].min()
    one = routes(model, [(x[7:8], labels[7:8])])
    assert torch.equal(one.runs[0], found.runs[7])
    assert len(gates_of(model)) == 8
    with pytest.raises(GraphError, match="without"):
        gated_cost(models.build("resnet8"), x)
