"""What a person sees while training runs: a bar on a terminal, one line per epoch elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from secateurs.training._records import EpochRecord

__all__ = ["Reporter", "reporting"]


class Reporter(Protocol):
    """Told of every step and every epoch."""

    def step(self) -> None: ...

    def epoch(self, record: EpochRecord) -> None: ...


@contextmanager
def reporting(
    progress: bool, *, epochs: int, steps: int, done: int, console: Console | None = None
) -> Iterator[Reporter]:
    """The reporter that fits: silent without `progress`; it writes to standard error, as progress should."""
    console = console or Console(stderr=True)
    if not progress:
        yield _Silent()
    elif not console.is_terminal:
        yield _Lines(console)
    else:
        with _bar(console) as bar:
            yield _Bar(bar, epochs=epochs, steps=steps, done=done)


class _Silent:
    def step(self) -> None:
        pass

    def epoch(self, record: EpochRecord) -> None:
        pass


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self) -> None:
        pass

    def epoch(self, record: EpochRecord) -> None:
        # soft_wrap: a log file has no width to break lines at.
        self._console.print(str(record), soft_wrap=True, highlight=False, markup=False)


class _Bar:
    def __init__(self, bar: Progress, *, epochs: int, steps: int, done: int) -> None:
        self._bar, self._epochs, self._steps = bar, epochs, steps
        self._task = bar.add_task(self._title(done), total=epochs * steps, completed=done * steps, latest="")

    def step(self) -> None:
        self._bar.advance(self._task)

    def epoch(self, record: EpochRecord) -> None:
        accuracy = record.train_accuracy if record.validation_accuracy is None else record.validation_accuracy
        done = record.epoch + 1
        self._bar.update(
            self._task,
            description=self._title(done),
            completed=done * self._steps,
            latest=f"loss {record.train_loss:.3f} accuracy {accuracy:.3f}",
        )

    def _title(self, done: int) -> str:
        return f"epoch {min(done + 1, self._epochs)}/{self._epochs}"


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[latest]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
