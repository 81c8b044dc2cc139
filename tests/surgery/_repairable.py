"""Networks whose removed units are linear in the kept ones."""

import torch
from torch import Tensor, nn

__all__ = ["Residual", "copied_units", "grouped", "linear", "padded", "random_norms"]


def linear() -> nn.Module:
    """No nonlinearity: six of ten hidden units say all that there is to say."""
    return nn.Sequential(nn.Linear(6, 10), nn.Linear(10, 4)).double()


def padded() -> nn.Module:
    """Convolutions whose windows reach beyond the borders, with stride and dilation."""
    first, second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 5, 3, padding=2, stride=2, dilation=2)
    net = nn.Sequential(first, nn.ReLU(), second).double()
    copied_units(first, 2, 5)
    return net


def grouped() -> nn.Module:
    """A grouped convolution that reads what is cut."""
    first, second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 6, 3, padding=1, groups=2)
    net = nn.Sequential(first, nn.ReLU(), second).double()
    copied_units(first, 0, 1)
    copied_units(first, 4, 5)
    return net


class Residual(nn.Module):
    """A block of two normalised convolutions without biases, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.conv1, self.norm1 = nn.Conv2d(8, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12)
        self.conv2, self.norm2 = nn.Conv2d(12, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)
        self.double()
        random_norms(self)
        copied_units(self.conv1, 0, 3)
        norm = self.norm1
        with torch.no_grad():
            assert norm.running_mean is not None
            assert norm.running_var is not None
            for tensor, factor in ((norm.weight, 3.0), (norm.bias, 3.0), (norm.running_mean, 2.0)):
                tensor[3] = factor * tensor[0]
            norm.running_var[3] = 4 * (norm.running_var[0] + norm.eps) - norm.eps

    def forward(self, x: Tensor) -> Tensor:
        """Images to scores."""
        x = self.stem(x)
        x = torch.relu(x + self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x))))))
        scores: Tensor = self.head(x.mean((2, 3)))
        return scores


def copied_units(layer: nn.Conv2d, source: int, target: int) -> None:
    """Let a unit give twice what another one gives."""
    with torch.no_grad():
        layer.weight[target] = 2 * layer.weight[source]
        if layer.bias is not None:
            layer.bias[target] = 2 * layer.bias[source]


def random_norms(model: nn.Module) -> None:
    """Statistics and scales as after training."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(std=0.3)
                module.running_var.uniform_(0.5, 2)
                module.weight.normal_()
                module.bias.normal_()
