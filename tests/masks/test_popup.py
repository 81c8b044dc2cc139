"""Scores on frozen weights: the mask of every forward pass, and the gradient that passes it."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from secateurs import models
from secateurs.graph import trace
from secateurs.masks import EdgePopupMasks, MaskOptions, UnitMasks, apply_masks, keep_units

X = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def _network() -> nn.Module:
    torch.manual_seed(1)
    model = models.build("resnet8")
    model.train()
    model(X)
    return model


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("sign", [False, True])
def test_the_gradient_of_a_score_passes_the_mask_with_its_sign(signed: bool, sign: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 4)
    popup = EdgePopupMasks(layer, MaskOptions(granularity="weight", signed=signed), sign=sign)
    (scores,) = popup.scores.values()
    x = torch.randn(7, 5)
    (mask,) = popup.units().values()
    layer(x).square().sum().backward()
    weight = dict(layer.named_parameters())["parametrizations.weight.original"]
    masked = (weight * mask).detach().requires_grad_()
    (x @ masked.T + layer.bias.detach()).square().sum().backward()
    assert masked.grad is not None
    wanted = masked.grad * weight.detach()
    if sign and not signed:
        wanted = wanted * scores.detach().sign()
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, wanted)
    assert weight.grad is None
    assert not layer.bias.requires_grad


@pytest.mark.parametrize(("granularity", "dims"), [("channel", (1, 2, 3)), ("kernel", (2, 3)), ("weight", ())])
@pytest.mark.parametrize("through", ["unit", "weight"])
def test_the_gradient_of_a_unit_reaches_all_its_scores(granularity: Any, dims: tuple[int, ...], through: Any) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 6, 3, bias=False).double()
    original = layer.weight.detach().clone()
    popup = EdgePopupMasks(layer, MaskOptions(granularity=granularity), through=through)
    (scores,) = popup.scores.values()
    x = torch.randn(2, 3, 7, 7, dtype=torch.float64)
    layer(x).square().sum().backward()
    masked = layer.weight.detach().clone().requires_grad_()
    nn.functional.conv2d(x, masked).square().sum().backward()
    assert masked.grad is not None
    of_mask = masked.grad * original
    if dims and through == "unit":
        of_mask = of_mask.sum(dims, keepdim=True).expand_as(original)
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, of_mask * scores.detach().sign())


def test_the_mask_is_made_anew_at_every_forward_pass() -> None:
    model = _network().eval()
    popup = EdgePopupMasks(model, MaskOptions(granularity="weight", rate=0.5))
    first = model(X)
    with torch.no_grad():
        for scores in popup.scores.values():
            scores.copy_(torch.randn_like(scores))
    second = model(X)
    assert not torch.equal(first, second)
    kept = keep_units(popup.scores, popup.initial, dict.fromkeys(popup.scores, 0.5), popup.options)
    popup.close()
    reference = deepcopy(model)
    for name, mask in kept.items():
        reference.get_submodule(name).weight.data.mul_(mask)  # type: ignore[operator]
    assert torch.equal(reference(X), second)


def test_nothing_is_masked_while_it_is_not_active() -> None:
    model = _network().eval()
    wanted = model(X)
    popup = EdgePopupMasks(model, MaskOptions(rate=0.9, scope="global"))
    popup.active = False
    assert torch.equal(model(X), wanted)
    assert all(kept.all() for kept in popup.units().values())
    popup.active = True
    assert not torch.equal(model(X), wanted)


def test_closing_leaves_the_model_as_it_was() -> None:
    model = _network()
    model.get_parameter("conv1.weight").requires_grad_(False)
    before, parameters = deepcopy(model.state_dict()), list(model.parameters())
    trained = [parameter.requires_grad for parameter in parameters]
    graph = trace(model.eval(), (X,))
    popup = EdgePopupMasks(model, MaskOptions(), graph=graph)
    model(X).sum().backward()
    popup.close()
    assert {id(parameter) for parameter in model.parameters()} == {id(parameter) for parameter in parameters}
    assert [parameter.requires_grad for parameter in parameters] == trained
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model._forward_pre_hooks


def test_initial_scores_are_part_of_the_state() -> None:
    model = _network()
    popup = EdgePopupMasks(model, MaskOptions(rank="relevant"), seed=3)
    first = {name: scores.detach().clone() for name, scores in popup.scores.items()}
    with torch.no_grad():
        for scores in popup.scores.values():
            scores.mul_(2)
    state = deepcopy(model.state_dict())
    other = _network()
    resumed = EdgePopupMasks(other, MaskOptions(rank="relevant"), seed=99)
    other.load_state_dict(state)
    for name, scores in resumed.initial.items():
        assert torch.equal(scores, first[name])
        assert torch.equal(resumed.scores[name], 2 * first[name])


def test_masked_channels_are_silent_behind_their_norms() -> None:
    model = _network().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bn" in name:
                parameter.copy_(torch.rand_like(parameter) + 0.5)
    graph = trace(model, (X,))
    popup = EdgePopupMasks(model, MaskOptions(rate=0.5, protect=("linear_last",)), graph=graph)
    seen: dict[str, Tensor] = {}
    norm = model.get_submodule("layer1.0.bn1")
    norm.register_forward_hook(lambda _module, _inputs, output: seen.update(out=output))
    model(X)
    silent = seen["out"].abs().amax((0, 2, 3)) == 0
    assert torch.equal(silent, ~popup.units()["layer1.0.conv1"])
    assert 0 < int(silent.sum()) < len(silent)


@pytest.mark.parametrize("scope", ["layerwise", "global"])
def test_masked_weights_give_what_scored_ones_gave(scope: Any) -> None:
    model = _network().eval()
    graph = trace(model, (X,))
    popup = EdgePopupMasks(model, MaskOptions(rate=0.4, scope=scope, protect=("linear_last",)), graph=graph)
    scored = model(X)
    masks = UnitMasks(units=popup.units(), options=popup.options, origin="learned")
    popup.close()
    apply_masks(model, masks.weights(graph))
    assert torch.equal(model(X), scored)


@pytest.mark.slow
def test_a_compiled_model_learns_the_same_scores() -> None:
    found = []
    for compiled in (False, True):
        model = models.build("conv2", width=0.125)
        torch.manual_seed(0)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.1)
        popup = EdgePopupMasks(model, MaskOptions(granularity="weight"))
        runner = torch.compile(model) if compiled else model
        optimizer = torch.optim.SGD(popup.scores.values(), lr=0.5)
        x, y = torch.randn(8, 3, 32, 32), torch.randint(0, 10, (8,))
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(runner(x), y).backward()
            optimizer.step()
        found.append([scores.detach().clone() for scores in popup.scores.values()])
    for plain, quick in zip(*found, strict=True):
        torch.testing.assert_close(quick, plain, rtol=1e-4, atol=1e-6)
