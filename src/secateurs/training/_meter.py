"""Loss and right answers of many steps, left on the device until somebody reads them."""

from torch import Tensor, stack

__all__ = ["Meter"]


class Meter:
    """Means over images. `add` costs no host synchronisation; `fold` costs one.

    Losses are kept one by one until the next `fold`, not summed: that launches nothing per step, and tells
    exactly which step was the first to go wrong.
    """

    def __init__(self) -> None:
        self.images = 0
        self.steps = 0
        self._loss_sum = 0.0
        self._correct = 0
        self._waiting: list[tuple[Tensor, Tensor, int]] = []

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Take in one step: its mean loss, scores [B, classes] and right classes [B]."""
        correct = (logits.detach().argmax(dim=1) == labels).sum()
        self._waiting.append((loss.detach(), correct, len(labels)))

    def fold(self) -> int | None:
        """Read what waits; the 0-based number of the first step with a loss that is not finite, or None."""
        if not self._waiting:
            return None
        losses = stack([loss for loss, _, _ in self._waiting]).cpu().double()
        finite = losses.isfinite()
        first_bad = None if finite.all() else self.steps + int((~finite).nonzero()[0])
        self._loss_sum += sum(loss * n for loss, (_, _, n) in zip(losses.tolist(), self._waiting, strict=True))
        self._correct += int(stack([correct for _, correct, _ in self._waiting]).sum())
        self.images += sum(n for _, _, n in self._waiting)
        self.steps += len(self._waiting)
        self._waiting.clear()
        return first_bad

    @property
    def loss(self) -> float:
        """Mean loss over the images folded so far."""
        return self._loss_sum / self.images

    @property
    def accuracy(self) -> float:
        """Fraction of the images folded so far that were right."""
        return self._correct / self.images
