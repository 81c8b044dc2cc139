"""Learned scores against a plain loop, and what their training must leave alone."""

from copy import deepcopy
from typing import Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import criteria
from secateurs._errors import ConfigError, PlanError
from secateurs.graph import trace
from secateurs.masks import EdgePopupMasks, MaskOptions, initial_scores
from tests.criteria._toys import toy

Data = list[tuple[Tensor, Tensor]]


def _network() -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7, bias=False), nn.ReLU(), nn.Linear(7, 4))


def _data() -> Data:
    torch.manual_seed(6)
    return [(torch.randn(5, 6), torch.randint(0, 4, (5,))) for _ in range(4)]


def _kept(scores: list[np.ndarray], rate: float) -> list[np.ndarray]:
    """Layer by layer: the floor(rate * units) lowest rows go; the last layer stays whole."""
    kept = []
    for index, values in enumerate(scores):
        count = 0 if index == len(scores) - 1 else int(rate * len(values))
        order = np.argsort(np.abs(values).mean(1), kind="stable")
        mask = np.ones(values.shape)
        mask[order[:count]] = 0
        kept.append(mask)
    return kept


def _by_hand(model: nn.Sequential, data: Data, first: list[Tensor], options: criteria.EdgePopup) -> list[np.ndarray]:
    """The scores after training, each step written out: forward with masked weights, chain rule, SGD."""
    layers = [module for module in model if isinstance(module, nn.Linear)]
    scores = [score.double().numpy().copy() for score in first]
    speed = [np.zeros_like(score) for score in scores]
    for _ in range(options.epochs):
        for x, y in data:
            used = []
            for layer, mask in zip(layers, _kept(scores, options.rate), strict=True):
                used.append((layer.weight.detach().double() * torch.from_numpy(mask)).requires_grad_())
            hidden = x.double()
            for index, (layer, weight) in enumerate(zip(layers, used, strict=True)):
                bias = None
                if layer.bias is not None:
                    kept = torch.from_numpy(_kept(scores, options.rate)[index][:, 0]) if index < 2 else 1
                    bias = layer.bias.detach().double() * kept
                hidden = F.linear(hidden, weight, bias)
                hidden = hidden.relu() if index < 2 else hidden
            F.cross_entropy(hidden, y).backward()
            for index, weight in enumerate(used):
                assert weight.grad is not None
                of_mask = (weight.grad * layers[index].weight.detach().double()).numpy().sum(1, keepdims=True)
                gradient = of_mask * np.sign(scores[index])
                gradient = gradient + options.weight_decay * scores[index]
                speed[index] = options.momentum * speed[index] + gradient
                scores[index] -= options.lr * speed[index]
    return scores


def test_scores_are_those_of_a_plain_loop() -> None:
    model, data, options = _network(), _data(), criteria.EdgePopup(epochs=3, lr=0.5)
    graph = trace(model, (data[0][0],))
    found = options(graph, batches=data, loss=F.cross_entropy)
    scores = _by_hand(model, data, _initial(model), options)
    torch.testing.assert_close(found["0"], torch.from_numpy(np.abs(scores[0]).mean(1)), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found["2"], torch.from_numpy(np.abs(scores[1]).mean(1)), rtol=1e-4, atol=1e-6)


def _initial(model: nn.Module) -> list[Tensor]:
    popup = EdgePopupMasks(deepcopy(model), MaskOptions())
    return [score.detach().clone() for score in popup.scores.values()]


def test_initial_scores_are_kaiming_uniform() -> None:
    scores = initial_scores(torch.zeros(64, 16, 3, 3), "kaiming", torch.Generator().manual_seed(0))
    bound = 1 / 12  # of sqrt(6 / ((1 + 5) * 144))
    assert float(scores.abs().max()) == pytest.approx(bound, rel=1e-3)
    assert float(scores.std()) == pytest.approx(bound / 3**0.5, rel=0.02)


@pytest.mark.parametrize("scope", ["layerwise", "global"])
def test_training_leaves_the_model_as_it_was(scope: Literal["layerwise", "global"]) -> None:
    graph, x = toy("residual")
    graph.model.train()
    before = deepcopy(graph.model.state_dict())
    generator = torch.random.get_rng_state()
    criteria.EdgePopup(scope=scope)(graph, batches=[(x, torch.tensor([0, 1]))], loss=F.cross_entropy)
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert all(module.training for module in graph.model.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in graph.model.parameters())
    assert before.keys() == graph.model.state_dict().keys()
    for name, value in graph.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_unit_that_carries_the_answer_scores_highest() -> None:
    torch.manual_seed(0)
    first, last = nn.Linear(4, 6), nn.Linear(6, 2)
    with torch.no_grad():
        first.weight[3] = torch.tensor([5.0, 0, 0, 0])
        last.weight[:, 3] = torch.tensor([-1.0, 1.0])
        last.bias.copy_(torch.tensor([1.0, -1.0]))
    model = nn.Sequential(first, nn.ReLU(), last)
    x = torch.randn(256, 4)
    data = [(x, (x[:, 0] > 0.2).long())]
    graph = trace(model, (x,))
    scores = criteria.EdgePopup(epochs=60, lr=1.0)(graph, batches=data, loss=F.cross_entropy)
    assert int(scores["0"].argmax()) == 3


def test_without_batches_or_loss_it_says_what_it_wants() -> None:
    graph, x = toy("chain")
    with pytest.raises(PlanError, match="batches"):
        criteria.EdgePopup()(graph, loss=F.cross_entropy)
    with pytest.raises(PlanError, match="loss"):
        criteria.EdgePopup()(graph, batches=[(x, x)])
    with pytest.raises(PlanError, match="at least one batch"):
        criteria.EdgePopup()(graph, batches=[], loss=F.cross_entropy)
    with pytest.raises(ConfigError, match="lr"):
        criteria.EdgePopup(lr=0)
