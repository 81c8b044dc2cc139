"""Maximum and rest of streamed activations."""

from typing import Literal

import torch
from torch import Tensor

from secateurs import _distributed
from secateurs._errors import PlanError

__all__ = ["Rest", "Tally"]

Rest = Literal["mean", "median", "second"]
_NOBODY = torch.iinfo(torch.int64).max


class Tally:
    """What is known of the activations of all units so far: some numbers per unit, and all of them where asked for.

    Args:
        units: of all axes.
        device: where they are.
        keep: whether all activations are kept.
    """

    def __init__(self, units: int, device: torch.device, *, keep: bool) -> None:
        self._sum = torch.zeros(units, dtype=torch.float64, device=device)
        # Activations are 0 or more.
        self._highest, self._second = self._sum - 1, self._sum - 1
        self._image = torch.full((units,), _NOBODY, device=device)
        self._count = 0
        self._kept: list[tuple[Tensor, Tensor]] | None = [] if keep else None

    def add(self, activations: Tensor, indices: Tensor, rows: Tensor) -> None:
        """Take some images into account.

        Args:
            activations: float64 [images, units].
            indices: int64 [images], by which they are called.
            rows: int64 [images], their places among all images.
        """
        if not len(activations):
            return
        self._count += len(activations)
        self._sum += activations.sum(0)
        if self._kept is not None:
            self._kept.append((rows, activations.float()))
        top = activations.topk(min(2, len(activations)), dim=0).values
        high, second = top[0], top[1] if len(top) > 1 else torch.full_like(top[0], -1)
        image = torch.where(activations == high, indices[:, None], _NOBODY).amin(0)
        self._join(high, second, image)

    def _join(self, high: Tensor, second: Tensor, image: Tensor) -> None:
        self._second = torch.stack([torch.minimum(high, self._highest), second, self._second]).amax(0)
        same = torch.minimum(image, self._image)
        self._image = torch.where(high > self._highest, image, torch.where(high == self._highest, same, self._image))
        self._highest = torch.maximum(high, self._highest)

    def reduce(self) -> None:
        """Over all ranks: what one would have seen. Each image is seen by one of them."""
        if _distributed.world() == 1:
            return
        count, highest, image = torch.tensor([self._count]), self._highest.clone(), self._image.clone()
        _distributed.all_reduce([count, self._sum])
        _distributed.all_reduce([highest], "max")
        image = torch.where(self._highest == highest, image, _NOBODY)
        _distributed.all_reduce([image], "min")
        own = (self._highest == highest) & (self._image == image)
        self._second = torch.where(own, self._second, self._highest)
        _distributed.all_reduce([self._second], "max")
        self._count, self._highest, self._image = int(count), highest, image

    def activations(self) -> Tensor:
        """float32 [images, units] of all ranks, where they are kept."""
        whole = torch.zeros(self._count, len(self._sum), device=self._sum.device)
        for rows, found in self._kept or ():
            whole[rows.to(whole.device)] = found
        _distributed.all_reduce([whole])
        return whole

    @property
    def images(self) -> Tensor:
        """int64 [units], the image of the maximum; -1 where all are 0."""
        return torch.where(self._highest > 0, self._image, -1)

    def values(self, rest: Rest) -> Tensor:
        """float64 [units], (maximum - rest) / (maximum + rest); 0 where the maximum is 0.

        Raises:
            PlanError: fewer than two images.
        """
        if self._count < 2:
            cure = "Give more images: all but one are what the highest is compared with."
            raise PlanError("criterion 'unitmem'", wanted="2 images or more", got=str(self._count), cure=cure)
        high, others = self._highest, self._rest(rest).clamp(min=0)
        return torch.where(high > 0, (high - others) / (high + others), 0)

    def _rest(self, rest: Rest) -> Tensor:
        if rest == "second":
            return self._second
        if rest == "mean":
            return (self._sum - self._highest) / (self._count - 1)
        others = self.activations().double().sort(0).values[:-1]
        middle = len(others) // 2
        return others[middle] if len(others) % 2 else (others[middle - 1] + others[middle]) / 2
