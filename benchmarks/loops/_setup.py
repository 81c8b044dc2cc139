"""What all three loops have in common: one network, one format, one optimizer, one set of images."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from secateurs import models
from secateurs.data import DataOptions, ImageSet, load
from secateurs.training import TrainOptions

__all__ = ["Setup", "images_for", "parse_setup"]

WIDE = "x"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One row of the table.

    Attributes:
        model: a name of `secateurs.models`, or one with a width: `resnet32x4`.
        cpu_time: count the processor's time, not the wall's: for a machine that others use, with one thread.
    """

    model: str
    precision: str
    channels_last: bool
    compile: bool
    cuda_graphs: bool
    device: torch.device
    batch: int
    cpu_time: bool = False

    @property
    def title(self) -> str:
        """The row's name."""
        marks = [mark for mark in ("channels_last", "compile", "cuda_graphs") if getattr(self, mark)]
        return ", ".join((self.model, {"32": "float32", "bf16": "bf16"}[self.precision], *marks))

    def options(self, epochs: int) -> TrainOptions:
        """Our loop's options."""
        return TrainOptions(
            epochs=epochs,
            lr=0.05,
            nesterov=True,
            precision=self.precision,  # type: ignore[arg-type]
            channels_last=self.channels_last,
            compile=self.compile,
            cuda_graphs=self.cuda_graphs,
            device=str(self.device),
        )

    def network(self) -> nn.Module:
        """The network on its device, in its order of memory; the same weights each time."""
        torch.manual_seed(0)
        name, _, width = self.model.partition(WIDE)
        network = models.build(name, classes=10, **({"width": float(width)} if width else {})).to(self.device)
        return network.to(memory_format=torch.channels_last) if self.channels_last else network

    def compiled(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        """The network as this row runs it."""
        if self.cuda_graphs:
            return torch.compile(network, mode="reduce-overhead", dynamic=False)
        return torch.compile(network) if self.compile else network

    def clock(self) -> float:
        """Seconds, once the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.process_time() if self.cpu_time else time.perf_counter()

    def autocast(self) -> "torch.autocast | nullcontext[None]":
        """The precision of forward passes."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()

    def placed(self, images: Tensor) -> Tensor:
        """Images on the device, in the row's order of memory."""
        images = images.to(self.device, non_blocking=self.device.type == "cuda")
        return images.contiguous(memory_format=torch.channels_last) if self.channels_last else images


def parse_setup(text: str, device: torch.device, batch: int, *, cpu_time: bool = False) -> Setup:
    """`resnet20,bf16,channels_last,compile,cuda_graphs`: a network, a precision, and any of the rest."""
    model, precision, *marks = text.split(",")
    return Setup(
        model=model,
        precision=precision,
        channels_last="channels_last" in marks,
        compile="compile" in marks,
        cuda_graphs="cuda_graphs" in marks,
        device=device,
        batch=batch,
        cpu_time=cpu_time,
    )


def images_for(count: int, folder: Path | None) -> ImageSet:
    """So many images: of CIFAR-10 in `folder`, or random ones of its size."""
    if folder is not None:
        train = load(DataOptions(path=folder, validation_ratio=0.0)).train
        assert isinstance(train, ImageSet)
        return ImageSet(
            images=train.images[:count],
            labels=train.labels[:count],
            indices=train.indices[:count],
            classes=train.classes,
        )
    generator = torch.Generator().manual_seed(0)
    return ImageSet(
        images=torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator),
        labels=torch.randint(10, (count,), generator=generator),
        indices=torch.arange(count),
        classes=tuple("0123456789"),
    )
