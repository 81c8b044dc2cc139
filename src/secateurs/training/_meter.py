"""Loss and right answers of many steps, left on the device until somebody reads them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, stack

from secateurs import _distributed

__all__ = ["Meter"]


@dataclass(frozen=True, kw_only=True)
class _Step:
    loss: Tensor
    correct: Tensor | None
    good: Tensor | None
    images: int


class Meter:
    """Means over images. `add` costs no host synchronisation; `fold` costs one if it is to `wait`.

    Losses are kept one by one until the next `fold`, not summed: that launches nothing per step, and tells
    exactly which step was the first to go wrong.

    Args:
        window: losses are also averaged over each so many steps, one after another; 0 for no such curve.

    Attributes:
        images: images of the steps read so far.
        steps: steps read so far.
        skipped: those of them that were taken back.
        skipped_in_a_row: the longest run of such steps.
    """

    def __init__(self, window: int = 0) -> None:
        self._window = window
        # Of each window, the losses times their images, and the images.
        self._curve: list[tuple[float, int]] = []
        self.images = self.steps = self.skipped = self.skipped_in_a_row = 0
        self._loss_sum = 0.0
        self._correct = self._classified = self._counted = self._run = 0
        self._waiting: list[_Step] = []
        # What is on its way to the host, and what tells that it has arrived.
        self._flight: tuple[list[_Step], Tensor, torch.cuda.Event | None] | None = None

    def add(
        self,
        loss: Tensor,
        scores: Tensor | None,
        labels: Tensor,
        good: Tensor | None = None,
        *,
        images: int | None = None,
    ) -> None:
        """Take in one step: its mean loss, its scores [B, classes] if it has any, right classes [B].

        Args:
            good: false for a step that was taken back: it counts as skipped and in nothing else.
            images: how many of the labels count, all or none of them: another rank may have counted them.
        """
        counted = len(labels) if images is None else images
        correct = None if scores is None else (scores.detach().argmax(dim=1) == labels).sum()
        self._waiting.append(_Step(loss=loss.detach(), correct=correct, good=good, images=counted))

    def fold(self, *, wait: bool = True) -> int | None:
        """Read what waits; the 0-based number of the first step with a loss that is not finite, or None.

        Without `wait`, what a GPU has not sent yet is read at the next call.
        """
        bad = self._land()
        self._launch()
        if wait or (self._flight is not None and self._flight[2] is None):
            later = self._land()
            bad = later if bad is None else bad
        return bad

    @property
    def loss(self) -> float:
        """Mean loss over the images folded so far, those of skipped steps left out; NaN if that leaves none."""
        return self._loss_sum / self._counted if self._counted else float("nan")

    @property
    def accuracy(self) -> float | None:
        """Fraction of those images that were right; None where nothing was classified."""
        return self._correct / self._classified if self._classified else None

    @property
    def curve(self) -> tuple[float | None, ...]:
        """The mean loss of each window; None where all its steps were skipped."""
        return tuple(total / images if images else None for total, images in self._curve)

    @property
    def state(self) -> dict[str, Any]:
        """All sums folded so far, as plain numbers, and `curve`, a list of pairs of them; nothing may be waiting."""
        assert not self._waiting
        assert self._flight is None
        sums = {name: value for name, value in vars(self).items() if isinstance(value, int | float)}
        return {**sums, "curve": [list(pair) for pair in self._curve]}

    def over_ranks(self) -> "Meter":
        """The same with the sums of all ranks; steps are the same on all."""
        meter, names = Meter.resumed(self.state), ("images", "_loss_sum", "_correct", "_classified", "_counted")
        sums = torch.tensor([self.state[name] for name in names], dtype=torch.float64)
        _distributed.all_reduce([sums])
        for name, total in zip(names, sums.tolist(), strict=True):
            setattr(meter, name, total if name == "_loss_sum" else int(total))
        if self._curve:
            curve = torch.tensor(self._curve, dtype=torch.float64)
            _distributed.all_reduce([curve])
            meter._curve = [(total, int(images)) for total, images in curve.tolist()]
        return meter

    def of_rank_0(self) -> "Meter":
        """This on rank 0, and one with empty sums elsewhere: what `over_ranks` gave, to go on from."""
        meter = Meter.resumed(self.state)
        if not _distributed.is_first():
            meter.images = meter._correct = meter._classified = meter._counted = 0
            meter._loss_sum = 0.0
            meter._curve = [(0.0, 0) for _ in meter._curve]
        return meter

    @classmethod
    def resumed(cls, state: Mapping[str, Any]) -> "Meter":
        """A meter that goes on from what `state` gave."""
        meter = cls()
        for name in meter.state.keys() - {"curve"}:
            setattr(meter, name, state[name])
        meter._curve = [(total, images) for total, images in state["curve"]]
        return meter

    def _launch(self) -> None:
        if not self._waiting:
            return
        first = self._waiting[0].loss
        # At least single precision, in which counts of a batch's images are exact.
        kind = torch.promote_types(first.dtype, torch.float32)
        none = torch.zeros((), device=first.device, dtype=kind)
        rows = [
            stack([step.loss.to(kind) for step in self._waiting]),
            stack([none if step.correct is None else step.correct.to(kind) for step in self._waiting]),
            stack([none + 1 if step.good is None else step.good.to(kind) for step in self._waiting]),
        ]
        on_gpu = none.device.type == "cuda"
        values = stack(rows).to("cpu", non_blocking=on_gpu)
        arrived = None
        if on_gpu:
            arrived = torch.cuda.Event()
            arrived.record(torch.cuda.current_stream(none.device))
        self._flight, self._waiting = (self._waiting, values, arrived), []

    def _land(self) -> int | None:
        if self._flight is None:
            return None
        steps, values, arrived = self._flight
        self._flight = None
        if arrived is not None:
            arrived.synchronize()
        first_bad = None
        for step, loss, correct, good in zip(steps, *values.tolist(), strict=True):
            if good and first_bad is None and not math.isfinite(loss):
                first_bad = self.steps
            self._take(step, loss, int(correct), skipped=not good)
        return first_bad

    def _take(self, step: _Step, loss: float, correct: int, *, skipped: bool) -> None:
        self.steps += 1
        self.images += step.images
        self.skipped += skipped
        self._run = self._run + 1 if skipped else 0
        self.skipped_in_a_row = max(self.skipped_in_a_row, self._run)
        if self._window and (self.steps - 1) % self._window == 0:
            self._curve.append((0.0, 0))
        if skipped or not step.images:
            return
        self._loss_sum += loss * step.images
        self._counted += step.images
        if self._window:
            total, images = self._curve[-1]
            self._curve[-1] = (total + loss * step.images, images + step.images)
        if step.correct is not None:
            self._correct += correct
            self._classified += step.images
