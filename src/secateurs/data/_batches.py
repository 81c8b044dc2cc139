"""Batches made on the device, without worker processes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs._sharding import Shard, check_shard
from secateurs.data._augment import Augment
from secateurs.data._draws import Draws
from secateurs.data._finish import Finisher
from secateurs.data._image_set import ImageSet
from secateurs.data._steps import Steps
from secateurs.data._streamed_set import StreamedSet

__all__ = ["BatchOptions", "Batches", "check_batches", "device_of"]

_AUGMENT = 2


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How batches are made.

    Attributes:
        device: where the images are held and batches made; "auto" is the GPU where there is one.
        shuffle: another order in each epoch.
        augment: random changes of the images, others in each epoch.
        fit: side in pixels that images are brought to where `augment` has no `resized_crop`: an image of another
            size is cut to the central square of 7/8 of its shorter side, and that is resized. None: as they are.
        drop_last: leave out a last batch that is not full.
        channels_last: memory format of the batches.
        threads: that decode images which are streamed; None for one for each core.
        shard: (rank, world): of every batch only this rank's part is made. `batch_size` stays that of all ranks
            together, and they see exactly what one process would; see `secateurs._sharding.part`.
    """

    device: str = "cpu"
    shuffle: bool = False
    augment: Augment = field(default_factory=Augment)
    fit: int | None = None
    drop_last: bool = False
    channels_last: bool = False
    threads: int | None = None
    shard: Shard = (0, 1)

    def __post_init__(self) -> None:
        check_shard(self.shard)


class Batches:
    """Batches (float32 x [B, C, H, W], normalised; int64 y [B]) of an image set, for as many loops as wanted.

    Images stay uint8 on the device. Order and augmentation depend on (seed, epoch, image index) alone:
    equal for equal keys whatever the batch size, and the same in a run that was resumed. Two loops without
    `set_epoch` between them are equal.

    Args:
        images: what to make batches of.
        batch_size: images in a batch.
        mean: per channel, of pixels scaled to 0..1.
        std: the same.
        seed: of order and augmentation.
        options: see `BatchOptions`.

    Attributes:
        normalisation: mean and std.
    """

    def __init__(
        self,
        images: ImageSet,
        *,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        seed: int = 0,
        options: BatchOptions | None = None,
    ) -> None:
        self._options = options or BatchOptions()
        check_batches(images, batch_size, mean, std, self._options.drop_last)
        self.normalisation = tuple(mean), tuple(std)
        self._images = images.to(device_of(self._options.device))
        self._seed, self._epoch, self._start = seed, 0, 0
        self._steps = Steps(
            indices=self._images.indices,
            batch_size=batch_size,
            seed=seed,
            shuffle=self._options.shuffle,
            drop_last=self._options.drop_last,
            shard=self._options.shard,
        )
        self._finisher = Finisher(
            augment=self._options.augment,
            fit=self._options.fit,
            mean=mean,
            std=std,
            channels_last=self._options.channels_last,
        ).to(self._images.images.device)
        self._finisher.check(images.size)

    @property
    def images(self) -> ImageSet:
        """The image set, on the device."""
        return self._images

    @property
    def options(self) -> BatchOptions:
        """How the batches are made."""
        return self._options

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of what the batches hold."""
        return self._finisher.shape((self._images.channels, *self._images.size))

    def set_epoch(self, epoch: int) -> None:
        """Choose order and augmentation of the loops that begin from now on."""
        self._epoch = epoch

    @property
    def shard(self) -> Shard:
        """Which part of every batch this is: (rank, world)."""
        return self._options.shard

    def global_size(self, step: int) -> int:
        """Images of one step over all ranks."""
        return self._steps.global_size(step)

    def start_at(self, step: int) -> None:
        """The next loop begins at that step of its epoch; those after it begin at the first again."""
        self._start = step

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = self._steps.order(self._epoch)
        draws = Draws((self._seed, self._epoch, _AUGMENT), self._images.indices)
        start, self._start = self._start, 0
        for step in range(start, len(self)):
            positions = self._steps.positions(order, step)
            yield self._inputs(positions, draws.at(positions)), self._images.labels[positions]

    def _inputs(self, positions: Tensor, draws: Draws) -> Tensor:
        # index_select: twenty times as fast as images[positions] on the CPU.
        images = self._images.images.index_select(0, positions)
        return self._finisher.finished(self._finisher.sized(images, draws), draws)


def device_of(name: str) -> torch.device:
    """The device that an option names."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def check_batches(
    images: ImageSet | StreamedSet, batch_size: int, mean: Sequence[float], std: Sequence[float], drop_last: bool
) -> None:
    """Refuse what no batches can be made of."""
    if batch_size < 1:
        raise DataError("batch_size", wanted="1 or more images", got=str(batch_size), cure="Change the batch size.")
    if len(images) < (batch_size if drop_last else 1):
        raise DataError(
            "Batches",
            wanted=f"at least {batch_size if drop_last else 1} images",
            got=str(len(images)),
            cure="Give more images, a smaller batch size, or drop_last=False.",
        )
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != images.channels:
            raise DataError(
                f"Batches.{name}",
                wanted=f"{images.channels} numbers, one for each channel",
                got=repr(tuple(values)),
                cure="Take mean and std of the same Splits as the images.",
            )
