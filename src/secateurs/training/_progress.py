"""What a person sees while training runs: a live display on a terminal, one line per epoch elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console

from secateurs._duration import duration
from secateurs._screen import Row, screen
from secateurs.training._pace import Pace
from secateurs.training._records import EpochRecord

__all__ = ["BarReporter", "LineReporter", "Progress", "Reporter", "reporting", "terminal"]

_SAY_SECONDS = 60.0  # in a log, the time left is said at least this often where epochs are long


class Reporter(Protocol):
    """Told of every step and every epoch."""

    def step(self) -> None: ...

    def epoch(self, record: EpochRecord) -> None: ...


class Progress(Protocol):
    """A display of its own, of which a training is a part."""

    def training(self, *, epochs: int, steps: int, done: int, at: int) -> AbstractContextManager[Reporter]: ...


@contextmanager
def reporting(
    progress: bool | Progress, *, epochs: int, steps: int, done: int, at: int = 0, console: Console | None = None
) -> Iterator[Reporter]:
    """The reporter that fits: silent without `progress`; it writes to standard error, as progress should.

    Args:
        progress: whether to show any, or the display that this training is a part of.
        done: epochs that are done already.
        at: steps of the next epoch that are done already.
    """
    if not isinstance(progress, bool):
        with progress.training(epochs=epochs, steps=steps, done=done, at=at) as reporter:
            yield reporter
        return
    console = console or terminal()
    pace = Pace(epochs=epochs, steps=steps, done=done, at=at)
    if not progress:
        yield _Silent()
    elif not console.is_terminal:
        yield LineReporter(console, pace)
    else:
        bar = BarReporter(pace)
        with screen(console, lambda: [bar.row]):
            yield bar
        bar.leave(console)


def terminal() -> Console:
    """Standard error; no terminal in a notebook, where a live display would need widgets."""
    return Console(stderr=True, highlight=False)


class _Silent:
    def step(self) -> None:
        pass

    def epoch(self, record: EpochRecord) -> None:
        pass


class LineReporter:
    """One line per epoch; now and then it says how long it still takes.

    Args:
        in_all: seconds until everything is done of which this training is a part; None where unknown.
    """

    def __init__(
        self,
        console: Console,
        pace: Pace,
        in_all: Callable[[], float | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._pace, self._in_all, self._clock = console, pace, in_all, clock
        self._said: float | None = None
        self.step = pace.step

    def epoch(self, record: EpochRecord) -> None:
        """Print the record."""
        self._pace.epoch()
        # soft_wrap: a log file has no width to break lines at.
        self._console.print(f"{record}{self._tail()}", soft_wrap=True, highlight=False, markup=False)

    def _tail(self) -> str:
        """After the first epoch, after each tenth of the training, and where a minute has passed."""
        now, tenth = self._clock(), max(round(self._pace.epochs / 10), 1)
        if self._said is not None and self._pace.done % tenth and now - self._said < _SAY_SECONDS:
            return ""
        self._said = now
        texts = [
            f"{duration(left)} left{where}"
            for left, where in ((self._pace.left, ""), (self._in_all() if self._in_all else None, " in all"))
            if left is not None and round(left)
        ]
        return f"  {', '.join(texts)}" if texts else ""


class BarReporter:
    """Keeps what a row of the live display says."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._last: EpochRecord | None = None
        self.step = pace.step

    def epoch(self, record: EpochRecord) -> None:
        """Take in the record."""
        self._pace.epoch()
        self._last = record

    @property
    def row(self) -> Row:
        """The row as it is now."""
        pace, last, latest = self._pace, self._last, ""
        if last is not None:
            accuracy = last.train_accuracy if last.validation_accuracy is None else last.validation_accuracy
            latest = f"loss {last.train_loss:.3f}" + ("" if accuracy is None else f"  accuracy {accuracy:.3f}")
        title = f"epoch {min(pace.done + 1, pace.epochs)}/{pace.epochs}"
        return Row(title=title, latest=latest, share=pace.share, left=pace.left)

    def leave(self, console: Console) -> None:
        """Print the last epoch, to stay when the display is gone."""
        if self._last is not None:
            console.print(str(self._last), soft_wrap=True, highlight=False, markup=False)
