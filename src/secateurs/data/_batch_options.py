"""How batches are made, and on which device."""

from dataclasses import dataclass, field

import torch

from secateurs._sharding import Shard, check_shard
from secateurs.data._augment import Augment

__all__ = ["BatchOptions", "device_of"]


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How batches are made.

    Attributes:
        device: where the images are held and batches made; "auto" is the GPU where there is one.
        shuffle: another order in each epoch.
        epoch_images: images that an epoch has, the first of its order, with `shuffle` others in each; None for all.
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
    epoch_images: int | None = None
    augment: Augment = field(default_factory=Augment)
    fit: int | None = None
    drop_last: bool = False
    channels_last: bool = False
    threads: int | None = None
    shard: Shard = (0, 1)

    def __post_init__(self) -> None:
        check_shard(self.shard)


def device_of(name: str) -> torch.device:
    """The device that an option names."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)
