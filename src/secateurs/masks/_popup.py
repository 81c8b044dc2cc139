"""Scores on frozen weights, and the mask that they make anew at every forward pass."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from secateurs._errors import ConfigError
from secateurs.graph import Graph
from secateurs.masks._layers import Layer, layer_rates, maskable_layers
from secateurs.masks._options import MaskOptions
from secateurs.masks._parametrize import Parametrized
from secateurs.masks._rank import expand_units, keep_units, unit_scores
from secateurs.masks._units import followers

__all__ = ["EdgePopupMasks", "ScoreInit", "initial_scores"]

ScoreInit = Literal["kaiming", "uniform", "normal", "weights"]


_UNIT_DIMS = {"channel": 1, "kernel": 2, "weight": 9, "pattern": 9}


class _Scored(nn.Module):
    """A weight times its mask; the gradient passes the mask as if it were the score of its unit (straight-through).

    The score of a unit is the sum of the absolute values of its scores, so that the gradient of each carries its sign;
    of the scores themselves without `sign`. The first `unit_dims` dims count units.
    """

    mask: Tensor
    initial: Tensor

    def __init__(self, scores: Tensor, *, sign: bool, unit_dims: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(scores)
        self.register_buffer("initial", scores.detach().clone())
        self.register_buffer("mask", torch.ones_like(scores))
        self._sign, self._inner = sign, tuple(range(unit_dims, scores.dim()))

    def forward(self, weight: Tensor) -> Tensor:
        # Zero in value, so that the product is exactly the masked weight.
        followed = self.scores.abs() if self._sign else self.scores
        followed = followed.sum(self._inner, keepdim=True) if self._inner else followed
        return weight * (self.mask + (followed - followed.detach()))


class _Silenced(nn.Module):
    """What goes silent with the channels of a layer."""

    mask: Tensor

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones_like(like))

    def forward(self, value: Tensor) -> Tensor:
        return value * self.mask


class EdgePopupMasks:
    """Scores on every convolution and linear layer of a model, whose weights are frozen while it lives.

    The model computes with its weights where the mask leaves them; the mask is made anew from the scores before
    every forward pass of the model. While `active` is False nothing is masked: the initial scores say nothing about
    the worth of layers, so a global ranking may empty one before it has learned. With granularity "channel" and a
    graph, the channels' biases and norms are masked with them. `close` makes the model plain again.

    Source: Ramanujan et al., What's Hidden in a Randomly Weighted Neural Network?, 2020.

    Args:
        model: changed in place.
        options: what the mask is made of.
        seed: of the initial scores.
        init: "kaiming" uniform with a = sqrt(5), "uniform" on 0..1, standard "normal", or the "weights" themselves.
        sign: False leaves the sign factor out of the straight-through gradient, an ablation.
        through: every score of a "unit" gets the gradient of the unit's mask, which is that of its score; "weight"
            gives each the gradient of its own weight alone, so that the scores of a unit drift apart: an ablation.
        graph: of this model; names axes to protect, and tells what belongs to a channel.

    Raises:
        ConfigError: nothing to mask, or options that do not fit the model.
    """

    def __init__(
        self,
        model: nn.Module,
        options: MaskOptions,
        *,
        seed: int = 0,
        init: ScoreInit = "kaiming",
        sign: bool = True,
        through: Literal["unit", "weight"] = "unit",
        graph: Graph | None = None,
    ) -> None:
        self.options, self.active = options, True
        self.layers = maskable_layers(model, graph)
        self._rates = layer_rates(self.layers, options)
        whole = options.granularity == "channel" and graph is not None
        self._followers = followers(graph, self.layers) if whole and graph is not None else ()
        self._frozen = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for parameter in self._frozen:
            parameter.requires_grad_(False)
        signs = sign and not options.signed
        dims = _UNIT_DIMS[options.granularity] if through == "unit" else _UNIT_DIMS["weight"]
        self._scored = {
            layer.name: _Scored(_first(layer, seed, init), sign=signs, unit_dims=dims) for layer in self.layers
        }
        self._held = [Parametrized(layer.module, "weight", self._scored[layer.name]) for layer in self.layers]
        self._silenced = self._follow(model)
        self._hook = model.register_forward_pre_hook(self._before_forward)

    @property
    def scores(self) -> Mapping[str, Tensor]:
        """Layer -> its scores, one per weight; parameters that train."""
        return {name: scored.scores for name, scored in self._scored.items()}

    @property
    def initial(self) -> Mapping[str, Tensor]:
        """Layer -> the scores that training began with; buffers, so that checkpoints hold them."""
        return {name: scored.initial for name, scored in self._scored.items()}

    @torch.no_grad()
    def units(self) -> dict[str, Tensor]:
        """Layer -> which of its units stay, by the scores as they are now."""
        if self.active:
            return keep_units(self.scores, self.initial, self._rates, self.options)
        shapes = {
            name: unit_scores(scores, self.options.granularity, signed=True) for name, scores in self.scores.items()
        }
        return {name: torch.ones_like(values, dtype=torch.bool) for name, values in shapes.items()}

    def close(self) -> None:
        """Take the scores off: weights as they were before, and trainable if they were."""
        self._hook.remove()
        for held in reversed(self._held):
            held.close(keep=False)
        for parameter in self._frozen:
            parameter.requires_grad_(True)

    @torch.no_grad()
    def _before_forward(self, _model: nn.Module, _args: Any) -> None:
        kept = self.units()
        for name, scored in self._scored.items():
            scored.mask.copy_(expand_units(kept[name], scored.mask))
        for follower in self._followers:
            if follower.path in self._silenced:
                mask = self._silenced[follower.path].mask
                mask[follower.positions] = kept[follower.layer][follower.channels].to(mask)

    def _follow(self, model: nn.Module) -> dict[str, "_Silenced"]:
        found = {}
        for path in dict.fromkeys(follower.path for follower in self._followers):
            owner, _, name = path.rpartition(".")
            module = model.get_submodule(owner)
            value = getattr(module, name)
            # Norms move their running statistics in place, which a parametrised buffer would not keep.
            if isinstance(value, nn.Parameter):
                found[path] = _Silenced(value)
                self._held.append(Parametrized(module, name, found[path]))
        return found


def _first(layer: Layer, seed: int, init: ScoreInit) -> Tensor:
    weight = layer.module.weight
    assert isinstance(weight, Tensor)
    # A generator for each layer: its scores do not depend on what other layers there are.
    key = hashlib.sha256(f"{seed}/{layer.name}".encode()).digest()[:8]
    return initial_scores(weight, init, torch.Generator().manual_seed(int.from_bytes(key, "little") >> 1))


def initial_scores(weight: Tensor, init: ScoreInit, generator: torch.Generator) -> Tensor:
    """Scores for a weight, drawn on the CPU so that every device begins with the same."""
    scores = torch.empty(weight.shape)
    if init == "weights":
        return weight.detach().clone()
    if init == "kaiming":
        # torch's kaiming_uniform_ with a = sqrt(5): bound = 1 / sqrt(fan_in).
        scores.uniform_(-1, 1, generator=generator).div_(math.sqrt(max(weight[0].numel(), 1)))
    elif init == "uniform":
        scores.uniform_(0, 1, generator=generator)
    elif init == "normal":
        scores.normal_(generator=generator)
    else:
        cure = "Choose one of them."
        raise ConfigError("score_init", wanted="'kaiming', 'uniform', 'normal' or 'weights'", got=repr(init), cure=cure)
    return scores.to(weight.device, weight.dtype)
