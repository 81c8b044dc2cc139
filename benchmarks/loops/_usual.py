"""What many training scripts do: a DataLoader with one worker per core, transforms image by image, loss.item()."""

import os
import random
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.loops._setup import Setup
from secateurs.data import ImageSet
from secateurs.training import make_optimizer

__all__ = ["Usual"]


class _Images(Dataset[tuple[Tensor, int]]):
    """Pad by 4, crop, flip, to a tensor, normalise."""

    def __init__(self, images: ImageSet, mean: Sequence[float], std: Sequence[float]) -> None:
        self._pixels = images.images.permute(0, 2, 3, 1).contiguous().numpy()
        self._labels = images.labels.tolist()
        self._mean, self._std = (torch.tensor(list(values)).view(3, 1, 1) for values in (mean, std))

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = ImageOps.expand(Image.fromarray(self._pixels[index]), 4)
        left, top = random.randrange(9), random.randrange(9)
        image = image.crop((left, top, left + 32, top + 32))
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div_(255)
        return pixels.sub_(self._mean).div_(self._std), self._labels[index]


class Usual:
    """The same network, precision, order of memory, compilation and optimizer as our loop."""

    def __init__(self, setup: Setup, images: ImageSet, mean: Sequence[float], std: Sequence[float]) -> None:
        self._setup = setup
        self._network = setup.network()
        self._run = setup.compiled(self._network)
        self._optimizer = make_optimizer(self._network, setup.options(1))
        self._loader = DataLoader(
            _Images(images, mean, std),
            batch_size=setup.batch,
            shuffle=True,
            drop_last=True,
            # The clock of the processor counts no other processes, so then the loader works in this one.
            num_workers=0 if setup.cpu_time else os.cpu_count() or 1,
            persistent_workers=not setup.cpu_time,
            pin_memory=setup.device.type == "cuda",
        )

    def images_per_second(self) -> float:
        """Over one epoch."""
        self._network.train()
        started, total = self._setup.clock(), 0.0
        for images, labels in self._loader:
            x, y = self._setup.placed(images), labels.to(self._setup.device, non_blocking=True)
            with self._setup.autocast():
                scores = self._run(x)
            loss = F.cross_entropy(scores.float(), y)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            total += loss.item()
        return len(self._loader) * self._setup.batch / (self._setup.clock() - started)
