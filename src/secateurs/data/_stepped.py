"""What batches have in common, however their images are held."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from torch import Tensor

from secateurs._errors import DataError
from secateurs._sharding import Shard
from secateurs.data._batch_options import BatchOptions, device_of
from secateurs.data._finish import Finisher
from secateurs.data._image_set import ImageSet
from secateurs.data._steps import Steps
from secateurs.data._streamed_set import StreamedSet

__all__ = ["Stepped"]

_AUGMENT = 2


class Stepped(ABC):
    """Epochs, steps and parts of batches: which images come when, and what is drawn for them.

    Args:
        images: what to make batches of.
        batch_size: images in a batch.
        normalisation: mean and standard deviation per channel, of pixels scaled to 0..1.
        seed: of order and augmentation.
        options: see `BatchOptions`.
        home: where the order of an epoch is worked out; None for the options' device.

    Attributes:
        normalisation: mean and std.
        options: how the batches are made.
    """

    def __init__(
        self,
        images: ImageSet | StreamedSet,
        batch_size: int,
        normalisation: tuple[Sequence[float], Sequence[float]],
        *,
        seed: int,
        options: BatchOptions,
        home: str | None = None,
    ) -> None:
        mean, std = normalisation
        _check(images, batch_size, mean, std, options)
        self.normalisation, self.options = (tuple(mean), tuple(std)), options
        self._device = device_of(options.device)
        self._seed, self._epoch, self._start = seed, 0, 0
        self._steps = Steps(
            indices=images.indices.to(home or self._device),
            batch_size=batch_size,
            seed=seed,
            shuffle=options.shuffle,
            drop_last=options.drop_last,
            epoch_images=options.epoch_images,
            shard=options.shard,
        )
        self._finisher = Finisher(
            augment=options.augment, fit=options.fit, mean=mean, std=std, channels_last=options.channels_last
        ).to(self._device)

    @abstractmethod
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]: ...

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def shard(self) -> Shard:
        """Which part of every batch this is: (rank, world)."""
        return self.options.shard

    def global_size(self, step: int) -> int:
        """Images of one step over all ranks."""
        return self._steps.global_size(step)

    def set_epoch(self, epoch: int) -> None:
        """Choose order and augmentation of the loops that begin from now on."""
        self._epoch = epoch

    def start_at(self, step: int) -> None:
        """The next loop begins at that step of its epoch; those after it begin at the first again."""
        self._start = step

    def _begun(self) -> tuple[int, Tensor, tuple[int, ...]]:
        """Of a loop that begins: its first step, the order of its images, and the key of what is drawn for them."""
        start, self._start = self._start, 0
        return start, self._steps.order(self._epoch), (self._seed, self._epoch, _AUGMENT)


def _check(
    images: ImageSet | StreamedSet, batch_size: int, mean: Sequence[float], std: Sequence[float], options: BatchOptions
) -> None:
    """Refuse what no batches can be made of."""
    if batch_size < 1:
        raise DataError("batch_size", wanted="1 or more images", got=str(batch_size), cure="Change the batch size.")
    epoch = len(images) if options.epoch_images is None else min(options.epoch_images, len(images))
    least = batch_size if options.drop_last else 1
    if epoch < least:
        raise DataError(
            "Batches",
            wanted=f"at least {least} images",
            got=str(epoch),
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
