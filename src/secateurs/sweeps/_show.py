"""What a person sees of a sweep: a live table while it runs, the ranking at its end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from secateurs._duration import duration
from secateurs.sweeps._figures import FIGURES, said
from secateurs.sweeps._rules import curve_of
from secateurs.sweeps._state import SweepState
from secateurs.sweeps._trial import Trial

__all__ = ["result_lines", "result_table", "showing"]

_MOST_LIVE, _MOST_ROWS = 12, 40
_WIDE = 110  # below this width the values, which names of trials tell too, would leave the figures no room


@contextmanager
def showing(state: SweepState, *, shown: bool, console: Console | None = None) -> Iterator[Callable[[], None]]:
    """Inside, a live table of what runs and what is best so far, where there is a terminal; yields what redraws it."""
    console = console or Console(stderr=True)
    if not shown or not console.is_terminal:
        yield lambda: None
        return
    with Live(_live_table(state, console.width), console=console, auto_refresh=False, transient=True) as live:
        yield lambda: live.update(_live_table(state, console.width), refresh=True)


def _live_table(state: SweepState, width: int) -> Table:
    best = {trial.name for trial in state.best}
    trials = sorted(state.trials, key=lambda trial: (trial.status != "running", trial.name not in best, -trial.number))
    ended = sum(trial.status in ("finished", "stopped", "failed") for trial in state.trials)
    wide = width >= _WIDE
    table = _table(state.sweep.objectives, wide, f"{state.sweep.name}: {ended} of {state.sweep.count} trials")
    for trial in trials[:_MOST_LIVE]:
        table.add_row(*_row(trial, state.sweep.objectives, trial.name in best, _reached(state.home, trial), wide=wide))
    return table


def _reached(home: Path, trial: Trial) -> str:
    """How far the run that runs has got."""
    for run in trial.runs:
        if run.status == "running":
            curve = curve_of(home / run.path)
            return f"epoch {len(curve)}, at best {max(curve):.4f}" if curve else "begins"
    return ""


def result_table(state: Mapping[str, Any], width: int) -> Table:
    """The trials of a sweep.json, for so many columns: the best first, then by the first objective."""
    objectives = [objective["name"] for objective in state["objectives"]]
    trials = [Trial.from_plain(trial) for trial in state["trials"]]
    best = set(state["best"])
    trials.sort(key=lambda trial: _rank(trial, objectives, best))
    table = _table(objectives, width >= _WIDE, str(state["name"]))
    for trial in trials[:_MOST_ROWS]:
        table.add_row(*_row(trial, objectives, trial.name in best, "", wide=width >= _WIDE))
    return table


def result_lines(state: Mapping[str, Any]) -> list[str]:
    """What is said below the table: the best, what failed, how long it took."""
    trials = [Trial.from_plain(trial) for trial in state["trials"]]
    lines = [f"{len(trials) - _MOST_ROWS} more in sweep.json"] if len(trials) > _MOST_ROWS else []
    objectives = " and ".join(
        f"{objective['direction'].replace('ize', '')[:3]} {objective['name']}" for objective in state["objectives"]
    )
    if state["best"]:
        lines.append(f"best by {objectives}: {', '.join(state['best'])}")
    for trial in (trial for trial in trials if trial.status == "failed"):
        errors = [*trial.errors, *(error for run in trial.runs for error in run.errors)]
        lines.append(f"{trial.name} failed: {errors[-1] if errors else 'for an unknown cause'}")
    seconds = sum(run.seconds for trial in trials for run in trial.runs)
    return [*lines, f"{duration(seconds)} in the stages of finished runs"]


def _rank(trial: Trial, objectives: Sequence[str], best: set[str]) -> tuple[bool, bool, float, int]:
    name = objectives[0]
    value = FIGURES[name].better(trial.figures[name]) if name in trial.figures else 0.0
    return trial.name not in best, trial.status != "finished", -value, trial.number


def _table(objectives: Sequence[str], wide: bool, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("trial", overflow="fold")
    if wide:
        table.add_column("values", overflow="fold")
    table.add_column("status", no_wrap=True)
    for name in (*objectives, "test_accuracy"):
        table.add_column(name.replace("_", " "), justify="right")
    return table


def _row(trial: Trial, objectives: Sequence[str], best: bool, note: str, *, wide: bool) -> list[Text]:
    values = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in trial.values.items())
    reasons = [f"after epoch {run.epoch}" for run in trial.runs if run.epoch is not None]
    status = f"{trial.status} {note or next(iter(reasons), '')}".strip()
    cells = [Text(f"{'* ' if best else ''}{trial.name}"), *([Text(values)] if wide else []), Text(status)]
    for name in (*objectives, "test_accuracy"):
        spread = f" ± {said(name, trial.spread[name])}" if trial.spread.get(name) else ""
        cells.append(Text(f"{said(name, trial.figures[name])}{spread}" if name in trial.figures else ""))
    return cells
