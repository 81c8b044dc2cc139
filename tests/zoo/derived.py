"""Weights computed from parameters: normalised, standardised, low-rank, shared, masked, mixed."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from tests.zoo._entry import Entry, image, vector

__all__ = ["ENTRIES"]

Wrap = Callable[[nn.Module], nn.Module]


def rows(wrap: Wrap) -> nn.Module:
    """Linear layers, the middle one of which is wrapped."""
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), wrap(nn.Linear(8, 7)), nn.Tanh(), nn.Linear(7, 4))


def maps(wrap: Wrap, **options: Any) -> nn.Module:
    """Convolutions."""
    middle = wrap(nn.Conv2d(8, 8, 3, padding=1, **options))
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), middle, nn.Tanh(), nn.Conv2d(8, 4, 1))


def turned(wrap: Wrap) -> nn.Module:
    """Transposed convolutions."""
    return nn.Sequential(nn.Conv2d(3, 8, 3), wrap(nn.ConvTranspose2d(8, 6, 2)), nn.Tanh(), nn.Conv2d(6, 4, 1))


def recurrent() -> nn.Module:
    """A cell with one weight in direction and length."""

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = parametrizations.weight_norm(nn.GRUCell(6, 5), "weight_hh"), nn.Linear(5, 4)

        def forward(self, x: Tensor) -> Tensor:
            state = self.cell(x)
            out: Tensor = self.head(self.cell(x * 0.5, state))
            return out

    return Steps()


def old(hook: Callable[[nn.Module], nn.Module]) -> Wrap:
    """The hooks that came before parametrisations."""

    def wrap(module: nn.Module) -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hook(module)
            with torch.no_grad():  # the weight that the hook leaves behind must not belong to a graph
                example = torch.zeros(1, 8) if isinstance(module, nn.Linear) else torch.zeros(1, 8, 3, 3)
                module(example)
            return module

    return wrap


class Scaled(nn.Module):
    """Rows of unit size times a scale per row."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(rows, 1))

    def forward(self, weight: Tensor) -> Tensor:
        rows: Tensor = self.scale * F.normalize(weight, dim=1)
        return rows


def parametrized(parametrization: Callable[[], nn.Module]) -> Wrap:
    """A module whose weight is computed by another."""

    def wrap(module: nn.Module) -> nn.Module:
        parametrize.register_parametrization(module, "weight", parametrization())
        return module

    return wrap


class Standardised(nn.Conv2d):
    """Weights without mean and of unit spread."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / (weight.var((1, 2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
        out: Tensor = self._conv_forward(x, weight, self.bias)
        return out


class ByBatchNorm(nn.Conv2d):
    """The same by a batch norm over the weight."""

    def forward(self, x: Tensor) -> Tensor:
        flat = self.weight.reshape(1, self.out_channels, -1)
        weight = F.batch_norm(flat, None, None, training=True, momentum=0.0, eps=1e-6).reshape_as(self.weight)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Adapted(nn.Module):
    """A frozen layer and a low-rank correction, added or folded into the weight."""

    def __init__(self, layer: nn.Module, how: str) -> None:
        super().__init__()
        assert isinstance(layer, nn.Linear)
        self.how, self.layer = how, layer.requires_grad_(False)
        self.down, self.up = nn.Parameter(torch.randn(3, 8)), nn.Parameter(torch.randn(7, 3))
        self.size, self.mask = nn.Parameter(torch.ones(7)), nn.Parameter(torch.ones(7, 8))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.layer.weight
        if self.how == "added":
            out: Tensor = self.layer(x) + F.linear(F.linear(x, self.down), self.up) * 0.5
            return out
        if self.how == "folded":
            weight = weight + self.up @ self.down
        elif self.how == "sized":
            wide = weight + self.up @ self.down
            weight = self.size[:, None] * wide / wide.norm(dim=1, keepdim=True)
        elif self.how == "masked":
            weight = weight * self.mask.sigmoid()
        elif self.how == "outer":
            weight = torch.outer(self.size, self.down[0].tanh()) + weight
        else:
            limit = weight.abs().amax(1, keepdim=True)
            weight = (weight / limit * 7).round() / 7 * limit
        return F.linear(x, weight, self.layer.bias)


_ALL: Any = None
_WRAPS: dict[str, Callable[[], nn.Module]] = {
    "weight_norm": partial(rows, parametrizations.weight_norm),
    "weight_norm_inputs": partial(rows, partial(parametrizations.weight_norm, dim=1)),
    "weight_norm_whole": partial(rows, partial(parametrizations.weight_norm, dim=_ALL)),
    "weight_norm_maps": partial(maps, parametrizations.weight_norm),
    "weight_norm_turned": partial(turned, parametrizations.weight_norm),
    "old_weight_norm": partial(rows, old(nn.utils.weight_norm)),
    "spectral_norm": partial(rows, parametrizations.spectral_norm),
    "spectral_norm_maps": partial(maps, parametrizations.spectral_norm),
    "spectral_norm_turned": partial(turned, parametrizations.spectral_norm),
    "old_spectral_norm": partial(maps, old(nn.utils.spectral_norm)),
    "unit_rows": partial(rows, parametrized(lambda: Scaled(7))),
    "standardised": partial(maps, lambda layer: Standardised(8, 8, 3, padding=1)),
    "standardised_by_norm": partial(maps, lambda layer: ByBatchNorm(8, 8, 3, padding=1)),
    **{
        f"adapted_{how}": partial(rows, partial(Adapted, how=how))
        for how in ("added", "folded", "sized", "masked", "rounded")
    },
}
_NO_DIRECTION = "a row of zeros has no direction"
_NORMED = ("weight_norm", "weight_norm_inputs", "weight_norm_maps", "weight_norm_turned", "old_weight_norm")
_ZEROING = dict.fromkeys((*_NORMED, "adapted_sized", "adapted_rounded"), _NO_DIRECTION)


def _is_map(build: Any) -> bool:
    return build.func is not rows


ENTRIES = {
    **{
        f"derived_{name}": Entry(
            build=build,
            arguments=image(3, 6, 6) if _is_map(build) else vector(6),
            axes={"0": 8},
            zeroing=_ZEROING.get(name, ""),
        )
        for name, build in _WRAPS.items()
    },
    "derived_weight_norm_grouped": Entry(
        build=partial(maps, parametrizations.weight_norm, groups=2),
        arguments=image(3, 6, 6),
        axes={"0:group": 2},
        zeroing=_NO_DIRECTION,
    ),
    "derived_weight_norm_cell": Entry(build=recurrent, arguments=vector(6), axes={"cell.weight_ih": 5}),
}
