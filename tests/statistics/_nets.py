"""Small networks whose layers read in different ways, and slow sums over their images and places."""

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.statistics import Layer
from tests.criteria._toys import fill

SIZE = 6


def convolutions() -> nn.Module:
    """Stride, padding with and without zeros, dilation, a residual sum, rectifiers in place, groups."""
    return _Convolutions()


class _Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.dilated = nn.Conv2d(4, 4, 3, padding=2, dilation=2, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.strided = nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), padding_mode="circular")
        self.grouped = nn.Conv2d(6, 4, 2, groups=2, padding="same")
        self.point = nn.Conv2d(4, 5, 1, stride=2)
        self.head = nn.Linear(5 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x), inplace=True)
        x = x + self.norm(self.dilated(x))
        x = F.relu(self.grouped(F.relu(self.strided(x))))
        x = torch.tanh(self.point(x))
        result: Tensor = self.head(F.pad(x, (0, 2 - x.shape[3], 0, 2 - x.shape[2])).flatten(1))
        return result


def network(seed: int = 0) -> nn.Module:
    """Filled with random numbers, in double precision."""
    model = fill(convolutions().double(), seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.4)
    return model


def images(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reads(layer: Layer, inputs: Tensor) -> Tensor:
    """What each output of one image reads, [groups, T, channels, offsets], place by place."""
    if isinstance(layer, nn.Linear):
        return inputs.reshape(1, -1, inputs.shape[-1], 1)
    pads, mode = list(layer._reversed_padding_repeated_twice), layer.padding_mode
    padded = F.pad(inputs[None], pads, mode="constant" if mode == "zeros" else mode)[0]
    sizes = layer(inputs[None]).shape[2:]
    places = []
    for place in itertools.product(*[range(size) for size in sizes]):
        offsets = []
        for offset in itertools.product(*[range(size) for size in layer.kernel_size]):
            steps = zip(place, offset, layer.stride, layer.dilation, strict=True)
            at = [p * stride + o * dilation for p, o, stride, dilation in steps]
            offsets.append(padded[:, at[0], at[1]])
        places.append(torch.stack(offsets, 1))
    stacked = torch.stack(places)
    return stacked.reshape(len(stacked), layer.groups, -1, stacked.shape[-1]).transpose(0, 1)


def watched(model: nn.Module, image: Tensor, loss: Callable[[Tensor], Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Path to the inputs of a layer and the gradient of its outputs [T, o], of one image."""
    kept: dict[str, tuple[Tensor, Tensor]] = {}
    handles = []
    for path, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):

            def hook(_module: nn.Module, args: tuple[Tensor], output: Tensor, path: str = path) -> Tensor:
                output.retain_grad()
                kept[path] = (args[0].detach()[0].clone(), output)
                return output.clone()  # what follows may write into it

            handles.append(module.register_forward_hook(hook))
    loss(model.eval()(image[None])).backward()
    for handle in handles:
        handle.remove()
    found = {}
    for path, (inputs, output) in kept.items():
        assert output.grad is not None
        found[path] = (inputs, output.grad[0].reshape(output.shape[1], -1).T)
    return found
