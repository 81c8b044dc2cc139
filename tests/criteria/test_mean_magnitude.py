"""Mean absolute weights, and what several layers say of one unit."""

from collections.abc import Mapping

import pytest
import torch
from torch import nn

from secateurs import models, trace
from secateurs._errors import ConfigError
from secateurs.criteria._mean_magnitude import MeanMagnitude
from secateurs.graph import Graph


@pytest.fixture
def resnet() -> Graph:
    torch.manual_seed(0)
    return trace(models.build("resnet8", shortcut="B"), (torch.zeros(1, 3, 32, 32),))


def _weights(graph: Graph, *layers: str) -> list[torch.Tensor]:
    tensors: Mapping[str, torch.Tensor] = graph.model.state_dict()
    return [tensors[f"{layer}.weight"].double().abs().flatten(1).mean(1) for layer in layers]


def test_a_filter_has_its_mean_absolute_weight(resnet: Graph) -> None:
    scores = MeanMagnitude()(resnet)
    (alone,) = _weights(resnet, "layer2.0.conv1")
    torch.testing.assert_close(scores["layer2.0.conv1"].double(), alone, rtol=1e-6, atol=0)


def test_a_group_goes_when_its_smallest_filter_comes_up(resnet: Graph) -> None:
    both = torch.stack(_weights(resnet, "layer2.0.conv2", "layer2.0.shortcut.0"))
    for together, wanted in (("min", both.amin(0)), ("mean", both.mean(0)), ("sum", both.sum(0))):
        found = MeanMagnitude(together=together)(resnet)["layer2.0.conv2"]  # type: ignore[arg-type]
        torch.testing.assert_close(found.double(), wanted, rtol=1e-6, atol=0)


@pytest.mark.parametrize("pattern", ["*shortcut*", "layer2.0.shortcut.0", "layer?.0.shortcut.0.weight"])
def test_a_layer_may_have_no_say_where_another_has(resnet: Graph, pattern: str) -> None:
    (main,) = _weights(resnet, "layer2.0.conv2")
    found = MeanMagnitude(leave=(pattern,))(resnet)
    torch.testing.assert_close(found["layer2.0.conv2"].double(), main, rtol=1e-6, atol=0)
    everything = MeanMagnitude(leave=("*",))(resnet)
    torch.testing.assert_close(everything["layer1.0.conv1"], found["layer1.0.conv1"])


def test_layers_of_all_sizes_compare() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 300), nn.Linear(300, 1))
    for parameter in net.parameters():
        nn.init.constant_(parameter, -0.5)
    scores = MeanMagnitude()(trace(net, (torch.zeros(1, 2),)))
    assert {value for own in scores.values() for value in own.tolist()} == {0.5}


def test_other_ways_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"mean_magnitude' together: .* Did you mean 'mean'"):
        MeanMagnitude(together="means")  # type: ignore[arg-type]
