"""The variational autoencoder: its shapes, its noise, and what may be cut of it."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from secateurs import models
from secateurs._errors import ConfigError
from secateurs.graph import trace
from secateurs.surgery import apply

SMALL: dict[str, Any] = {"size": 12, "channels": 3, "filters": (3, 5), "widths": (14, 9), "latent": 4}
UNITS = {"encoder.hidden.0": 14, "encoder.hidden.1": 9, "decoder.hidden.0": 9, "decoder.hidden.1": 14}
CHANNELS = {
    "encoder.convolutions.0": 3,
    "encoder.convolutions.1": 5,
    "decoder.spread": 5,
    "decoder.convolutions.0": 3,
}


def small(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    return models.build("vae28", **(SMALL | options))


def test_images_come_back_as_logits_of_their_own_shape() -> None:
    logits, mean, log_variance = small()(torch.rand(2, 3, 12, 12))
    assert (logits.shape, mean.shape, log_variance.shape) == ((2, 3, 12, 12), (2, 4), (2, 4))
    assert models.build("vae28")(torch.zeros(1, 1, 28, 28))[0].shape == (1, 1, 28, 28)
    with torch.device("meta"):
        assert models.build("vae64")(torch.zeros(1, 3, 64, 64))[0].shape == (1, 3, 64, 64)


def test_every_parameter_is_used() -> None:
    model = small()
    sum(part.square().sum() for part in model(torch.rand(2, 3, 12, 12))).backward()
    assert [path for path, parameter in model.named_parameters() if parameter.grad is None] == []


def test_training_draws_noise_and_evaluation_does_not() -> None:
    model, images = small(), torch.rand(2, 3, 12, 12)
    assert not torch.equal(model(images)[0], model(images)[0])
    model.eval()
    logits, mean, log_variance = model(images)
    assert torch.equal(logits, model(images)[0])
    assert torch.equal(logits, model.decode(mean))  # type: ignore[operator]
    noise = torch.randn(2, 4)
    drawn = mean + (log_variance / 2).exp() * noise
    assert torch.equal(model(images, noise)[0], model.decode(drawn))  # type: ignore[operator]
    assert torch.equal(model.train()(images, noise)[0], model.decode(drawn))  # type: ignore[operator]


@pytest.mark.parametrize("training", [True, False])
def test_hidden_units_and_channels_can_be_cut_and_the_code_cannot(training: bool) -> None:
    graph = trace(small().train(training), args=(torch.rand(2, 3, 12, 12),))
    assert {axis.name: axis.size for axis in graph.axes} == UNITS | CHANNELS
    assert all(axis.exact for axis in graph.axes)
    fixed = "\n".join(map(str, graph.fixed))
    for place in ("mean.weight[0]: an output", "log_variance.weight[0]: an output", "decoder.hidden.0.weight[1]"):
        assert place in fixed


def test_a_cut_network_is_proved_equal_and_still_draws_noise() -> None:
    model, images = small(), torch.rand(2, 3, 12, 12)
    graph = trace(model, args=(images,))
    plan = graph.plan({name: list(range(0, size, 2)) for name, size in (UNITS | CHANNELS).items()})
    result = apply(model, plan, verify=True, example=(images,))
    assert result.report.error is not None
    cut: Any = result.model.train()
    assert cut.decoder.hidden[1].weight.shape == (7, 4)
    assert cut.latent == 4
    first, second = cut(images)[0], cut(images)[0]
    assert first.shape == (2, 3, 12, 12)
    assert not torch.equal(first, second)


def test_a_network_without_hidden_layers_still_encodes() -> None:
    logits: Tensor = small(widths=())(torch.rand(1, 3, 12, 12))[0]
    assert logits.shape == (1, 3, 12, 12)


def test_sides_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.size: wanted a multiple of 4, .* got 30\. Set data\.resize to 32"):
        models.build("vae28", size=30)
