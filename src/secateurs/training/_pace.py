"""How far one training is, and how long it still takes by its own clock."""

import time
from collections import deque
from collections.abc import Callable

__all__ = ["Pace"]

_RECENT = 5  # epochs that count: few enough to follow a machine that others start to use


class Pace:
    """Counts steps and epochs. `step` is called inside the loop and does nothing but count.

    Args:
        epochs: epochs of the whole training, `steps` steps each.
        done: epochs that an earlier process did.
        at: steps of the next epoch that an earlier process did.
        known: seconds of an epoch, where earlier epochs tell; counts until this process has measured one.
    """

    def __init__(
        self,
        *,
        epochs: int,
        steps: int,
        done: int = 0,
        at: int = 0,
        known: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.epochs, self.steps, self.done, self.at = epochs, steps, done, at
        self._known, self._clock = known, clock
        self._seconds: deque[float] = deque(maxlen=_RECENT)
        self._first: float | None = None
        self._started, self._from = clock(), at

    def step(self) -> None:
        """One step more."""
        self.at += 1

    def epoch(self) -> None:
        """The epoch is over: validated, saved and noted."""
        now = self._clock()
        # The part of an epoch that a resumed training begins with stands for a whole one.
        seconds = (now - self._started) / (1 - min(self._from / self.steps, 0.99))
        if self._first is None:
            self._first = seconds  # warms up and may compile: it counts only until there is another
        else:
            self._seconds.append(seconds)
        self._started, self._from = now, 0
        self.done, self.at = self.done + 1, 0

    @property
    def share(self) -> float:
        """Fraction of the training that is done."""
        return min((self.done + self._part) / self.epochs, 1.0)

    @property
    def per_epoch(self) -> float | None:
        """Seconds of an epoch; None before anything is known."""
        if self._seconds:
            return sum(self._seconds) / len(self._seconds)
        if self._first is not None or self._known is not None:
            return self._first if self._first is not None else self._known
        steps = self.at - self._from
        return (self._clock() - self._started) / steps * self.steps if steps else None

    @property
    def left(self) -> float | None:
        """Seconds until the last epoch is over; None before anything is known."""
        per_epoch = self.per_epoch
        if self.done >= self.epochs:
            return 0.0
        return None if per_epoch is None else max(self.epochs - self.done - self._part, 0.0) * per_epoch

    @property
    def _part(self) -> float:
        """Fraction of the epoch that runs."""
        return min(self.at / self.steps, 1.0)
