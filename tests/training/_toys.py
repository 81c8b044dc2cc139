"""Small data and networks for the tests of training."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def toy_images(count: int = 256, *, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noisy copies of one pattern per class, [count, 1, 8, 8], and their classes; easy to tell apart."""
    patterns = torch.randn(classes, 1, 8, 8, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    return patterns[labels] + 0.7 * torch.randn(count, 1, 8, 8, generator=generator), labels


def split_batches(images: Tensor, labels: Tensor, size: int = 64) -> list[tuple[Tensor, Tensor]]:
    """Consecutive batches; the last may be smaller."""
    return list(zip(images.split(size), labels.split(size), strict=True))


class Shuffled:
    """Batches in an order that depends on the epoch; raises at one step if asked, and notes the epochs."""

    def __init__(self, images: Tensor, labels: Tensor, size: int = 64, *, fail_at: tuple[int, int] = (-1, -1)) -> None:
        self.images, self.labels, self.size, self.fail_at = images, labels, size, fail_at
        self.epochs: list[int] = []

    def set_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)

    def __len__(self) -> int:
        return -(-len(self.labels) // self.size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = self.epochs[-1]
        order = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(epoch))
        for step, rows in enumerate(order.split(self.size)):
            if (epoch, step) == self.fail_at:
                raise KeyboardInterrupt
            yield self.images[rows], self.labels[rows]


class Network(nn.Module):
    """Convolution, BatchNorm, dropout, and a buffer that is trained but not in the state dict."""

    seen: Tensor

    def __init__(self, classes: int = 4, channels: int = 6) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(channels * 64, classes)
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen.mul_(0.9).add_(x.detach().float().mean())
        scores: Tensor = self.head(self.drop(self.norm(self.conv(x)).relu()).flatten(1))
        return scores


def make_network(seed: int = 0, classes: int = 4, channels: int = 6) -> Network:
    """The same weights for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Network(classes, channels)


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Copies of every parameter and buffer."""
    return {name: t.detach().clone() for name, t in (*model.named_parameters(), *model.named_buffers())}
