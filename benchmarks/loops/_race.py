"""The three loops in one process, taking turns."""

import statistics
from dataclasses import dataclass

from benchmarks.loops._bare import Bare
from benchmarks.loops._setup import Setup
from benchmarks.loops._usual import Usual
from secateurs.data import Augment, Batches, BatchOptions, ImageSet
from secateurs.training import EpochRecord, train

__all__ = ["MEAN", "STD", "Result", "race", "training_batches"]

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Images per second, round by round."""

    setup: Setup
    bare: list[float]
    ours: list[float]
    usual: list[float]

    @property
    def of_bare(self) -> float:
        """Ours over the bare loop: median of the rounds' ratios, since neighbours in time share what disturbs them."""
        return statistics.median(mine / limit for mine, limit in zip(self.ours, self.bare, strict=True))

    @property
    def of_usual(self) -> float:
        """Ours over the usual loop, in the same way."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.ours, self.usual, strict=True))


def training_batches(setup: Setup, images: ImageSet) -> Batches:
    """Ours: crop and flip on the device."""
    options = BatchOptions(
        device=str(setup.device),
        shuffle=True,
        drop_last=True,
        channels_last=setup.channels_last,
        augment=Augment(crop=4, flip=True),
    )
    return Batches(images, batch_size=setup.batch, mean=MEAN, std=STD, options=options)


def race(setup: Setup, images: ImageSet, rounds: int) -> Result:
    """Alternate epochs of `images`, a first round of all three not counted.

    Our loop is `train` itself: the others have their turns between its epochs. Its time is all that passes in between,
    records and reports too.
    """
    # Made after ours has begun, which forgets compiled code first.
    others: list[tuple[Bare, Usual]] = []
    result = Result(setup=setup, bare=[], ours=[], usual=[])
    batches, begun = training_batches(setup, images), [setup.clock()]

    def turns(record: EpochRecord) -> None:
        ours = len(batches) * setup.batch / (setup.clock() - begun[0])
        if not others:
            others.append((Bare(setup), Usual(setup, images, MEAN, STD)))
        bare, usual = others[0]
        speeds = bare.images_per_second(len(batches)), ours, usual.images_per_second()
        if record.epoch:
            for values, speed in zip((result.bare, result.ours, result.usual), speeds, strict=True):
                values.append(speed)
        begun[0] = setup.clock()

    train(setup.network(), batches, setup.options(rounds + 1), on_epoch=turns)
    return result
