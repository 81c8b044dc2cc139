"""What the tests of this room share."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

import secateurs as sec
from secateurs.eigen import Bottleneck, Rotation
from secateurs.surgery import history
from tests.criteria._toys import fill

CPU = torch.device("cpu")


def resnet(*, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Random in every parameter and buffer, of a size that keeps outputs in range."""
    model = fill(sec.models.build("resnet8", classes=4), 0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.mul_(0.05 if "conv" in name or parameter.dim() > 1 else 0.3)
    return model.to(dtype)


def images(count: int = 12, *, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def outputs(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        result: Tensor = model.eval()(x)
    return result


def relative(wanted: Tensor, found: Tensor) -> float:
    return float((wanted - found).abs().max() / wanted.abs().max())


def bottlenecks(model: nn.Module) -> Mapping[str, Bottleneck]:
    return {path: module for path, module in model.named_modules() if isinstance(module, Bottleneck)}


def last_rotation(model: nn.Module) -> Rotation:
    change = history(model)[-1]
    assert isinstance(change, Rotation)
    return change
