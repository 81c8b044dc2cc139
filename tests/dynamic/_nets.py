"""Small networks with gates."""

import torch
from torch import Tensor, nn

from secateurs import models
from secateurs.dynamic import HeadKind, gate

__all__ = ["gated", "images", "randomised"]


def images(count: int, size: int = 16, seed: int = 1) -> Tensor:
    """Random colour images, from pale to glaring."""
    noise = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))
    return noise * torch.linspace(0.1, 4, count).view(-1, 1, 1, 1)


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """With BatchNorms that do something, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                assert tensor is not None
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.5 + 0.3)
    return model.eval()


def gated(head: HeadKind = "rnn", *, name: str = "resnet20", bias: float = 0.0, shortcut: str = "B") -> nn.Module:
    """A residual network of the table with gates that decide differently from image to image."""
    torch.manual_seed(0)
    model = randomised(models.build(name, width=0.25, shortcut=shortcut))
    found = gate(model, (images(1),), head=head, bias=bias, seed=3)
    for path, tensor in found.named_parameters():
        if "choice.weight" in path:
            tensor.data.normal_(0, 3, generator=torch.Generator().manual_seed(len(path)))
        if "project.weight" in path:
            tensor.data.mul_(10)
    return found
