"""What a person sees of a study: the stage that runs and the whole, live on a terminal, in lines elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.live import Live

from secateurs._errors import FileError
from secateurs._screen import Row, screen
from secateurs.recipes._outlook import Job, Outlook
from secateurs.training import BarReporter, LineReporter, Pace, Reporter, reporting, terminal

__all__ = ["StudyProgress"]


class StudyProgress:
    """Follows a study stage by stage. Without `shown` it does the same and prints nothing.

    Args:
        outlook: all stages of all runs.
        shown: whether anything is printed at all.
    """

    def __init__(
        self,
        outlook: Outlook,
        *,
        shown: bool,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.outlook = outlook
        self._console, self._clock = console or terminal(), clock
        self._shown, self._live = shown, shown and self._console.is_terminal
        self._runs = list(dict.fromkeys(job.run for job in outlook.jobs))
        self._job: Job | None = None
        self._started = clock()
        self._pace: Pace | None = None
        self._bar: BarReporter | None = None
        self._screen: Live | None = None

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Everything that is shown is shown inside."""
        if not self._live:
            yield
            return
        with screen(self._console, self.rows):
            yield

    @contextmanager
    def stage(self, run: str, name: str) -> Iterator[None]:
        """The stage runs inside; if it comes to an end, its time tells about those to come."""
        job = self.outlook.job(run, name)
        self._job, self._started = job, self._clock() - self.outlook.begun(job)
        yield
        rate = self._pace.per_epoch if self._pace is not None else None
        self.outlook.finished(job, self._clock() - self._started, rate)
        self._job = self._pace = self._bar = None

    @contextmanager
    def training(self, *, epochs: int, steps: int, done: int, at: int) -> Iterator[Reporter]:
        """The training of the stage that runs."""
        if not self._shown:
            with reporting(False, epochs=epochs, steps=steps, done=done) as silent:
                yield silent
            return
        known = None if self._job is None else self.outlook.known_rate(self._job)
        self._pace = pace = Pace(epochs=epochs, steps=steps, done=done, at=at, known=known, clock=self._clock)
        if not self._live:
            yield LineReporter(self._console, pace, self.left, self._clock)
        else:
            self._bar = bar = BarReporter(pace)
            yield bar
            bar.leave(self._console)

    def recall(self, run: str, path: Path) -> None:
        """Take over what an earlier process left in a run directory, if it left something readable."""
        from secateurs.reporting import read_run

        if self._shown and (path / "run.json").exists():
            with suppress(FileError):  # it is complained about where that run is opened
                record = read_run(path)
                self.outlook.recall(run, record.state, record.epochs)

    def left(self) -> float | None:
        """Seconds until the study is finished; None where nothing is known yet."""
        job, now = self._job, self._now_left()
        if job is None or now is None:
            return None
        after = self.outlook.after(job)
        return None if after is None else now + after

    def rows(self) -> Sequence[Row]:
        """What the live display says: the stage that runs, and the whole where that is more."""
        job, bar = self._job, self._bar
        if job is None:
            return []
        spent, left = self.outlook.spent + self._clock() - self._started, self.left()
        share = spent / (spent + left) if left is not None and spent + left else 0.0
        whole = Row(title=self._place(job), latest="", share=share, left=left)
        return [whole] if bar is None else [bar.row, whole]

    def _now_left(self) -> float | None:
        """Seconds that the running stage still takes."""
        if self._job is not None and self._pace is not None:
            rate = self._pace.per_epoch
            if rate is not None:
                self.outlook.rate(self._job, rate)  # the trainings to come are foreseen from this one
            return self._pace.left
        expected = None if self._job is None else self.outlook.expected(self._job)
        return None if expected is None else max(expected - (self._clock() - self._started), 0.0)

    def _place(self, job: Job) -> str:
        stages = [other.stage for other in self.outlook.jobs if other.run == job.run]
        text = f"stage {stages.index(job.stage) + 1}/{len(stages)}"
        if len(self._runs) > 1:
            text = f"run {self._runs.index(job.run) + 1}/{len(self._runs)} {text}"
        return text
