"""Refusals name the option, and which layers an option means."""

from typing import Any

import pytest
import torch
from torch import nn

from secateurs import models
from secateurs._errors import ConfigError
from secateurs.graph import trace
from secateurs.masks import MaskOptions, layer_rates, maskable_layers


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"rate": 1.0}, "mask.rate"),
        ({"rate": -0.1}, "mask.rate"),
        ({"rates": (0.5, 2.0)}, "mask.rates.1"),
        ({"granularity": "filter"}, "mask.granularity"),
        ({"scope": "everywhere"}, "mask.scope"),
        ({"granularity": "weight", "rank": "relevant"}, "mask.rank"),
        ({"granularity": "pattern", "scope": "global"}, "mask.scope"),
        ({"floor": 0}, "mask.floor"),
        ({"group_kept": 5}, "mask.group_kept"),
    ],
)
def test_wrong_values_are_refused(options: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MaskOptions(**options)
    assert caught.value.where == where


def test_rates_are_given_in_the_order_of_modules() -> None:
    layers = maskable_layers(models.build("conv4"))
    rates = layer_rates(layers, MaskOptions(rate=0.4, rates=(0.1, 0.2)))
    assert list(rates.values()) == [0.1, 0.2, 0.4, 0.4, 0.4, 0.4, 0.4]
    with pytest.raises(ConfigError, match="7 rates"):
        layer_rates(layers, MaskOptions(rates=(0.5,) * 8))


@pytest.mark.parametrize("name", models.names())
def test_named_forms_of_protection_work_for_every_network(name: str) -> None:
    model = models.build(name)
    layers = maskable_layers(model)
    linear = [layer.name for layer in layers if isinstance(layer.module, nn.Linear)]
    if not linear:  # a convolution makes its scores: to leave that one out without a word would surprise
        for form in ("linear_last", "linear"):
            with pytest.raises(ConfigError, match="Layers are"):
                layer_rates(layers, MaskOptions(protect=(form,)))
        return
    whole = [layer for layer, rate in layer_rates(layers, MaskOptions(protect=("linear_last",))).items() if not rate]
    assert whole == linear[-1:]
    whole = [layer for layer, rate in layer_rates(layers, MaskOptions(protect=("linear",))).items() if not rate]
    assert whole == linear


def test_layers_are_protected_by_name_and_by_axis() -> None:
    model = models.build("resnet20").eval()
    layers = maskable_layers(model, trace(model, (torch.zeros(1, 3, 32, 32),)))
    rates = layer_rates(layers, MaskOptions(protect=("layer2.*",)))
    assert {name for name, rate in rates.items() if not rate} == {
        layer.name for layer in layers if layer.name.startswith("layer2.")
    }
    # The axis `conv1` is the stream, whose channels zero-padded shortcuts carry through all stages.
    by_axis = layer_rates(layers, MaskOptions(protect=("axis:conv1",)))
    assert {name for name, rate in by_axis.items() if not rate} == {
        "conv1",
        *(f"layer{stage}.{block}.conv2" for stage in (1, 2, 3) for block in range(3)),
    }


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"features\.0"):
        layer_rates(maskable_layers(models.build("conv2")), MaskOptions(protect=("feature.0",)))


def test_a_model_without_such_layers_is_refused() -> None:
    with pytest.raises(ConfigError, match="none"):
        maskable_layers(nn.Sequential(nn.ReLU()))


def test_a_weight_that_occurs_twice_counts_once() -> None:
    layer = nn.Linear(3, 3)
    tied = nn.Linear(3, 3)
    tied.weight = layer.weight
    assert [found.name for found in maskable_layers(nn.Sequential(layer, layer, tied))] == ["0"]
