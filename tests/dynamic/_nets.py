"""Small networks with gates."""

import torch
from torch import Tensor, nn

from secateurs import models
from secateurs.dynamic import HeadKind, deciding, gate, gates_of
from secateurs.dynamic._heads import FeedForward

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


def gated(head: HeadKind = "rnn", *, shortcut: str = "B") -> nn.Module:
    """A residual network of the table with gates that decide differently from image to image."""
    torch.manual_seed(0)
    model = randomised(models.build("resnet20", width=0.25, shortcut=shortcut))
    found = gate(model, (images(1),), head=head, bias=0.0, seed=3)
    for path, tensor in found.named_parameters():
        if "choice.weight" in path:
            tensor.data.normal_(0, 3, generator=torch.Generator().manual_seed(len(path)))
        if "project.weight" in path:
            tensor.data.mul_(10)
    if head != "rnn":
        with torch.no_grad(), deciding(found, _Centring(found)):
            found(images(12))
    return found


class _Centring:
    """Lets every feed-forward gate decide one way for half of the images that it sees."""

    binary = True

    def __init__(self, model: nn.Module) -> None:
        self._heads = [gate.head for gate in gates_of(model).values()]

    def mask(self, number: int, logit: Tensor) -> Tensor:
        """The upper half runs."""
        head, middle = self._heads[number], logit.median()
        assert isinstance(head, FeedForward)
        head.choice.bias.data[1] -= middle
        return (logit > middle).to(logit.dtype)
