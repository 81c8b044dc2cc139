"""Ranks of a run on this machine, started by torch's own launcher: where one dies, the others are ended."""

import importlib
import json
import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from secateurs._error_values import error_from
from secateurs._errors import Interrupted, RankError, SecateursError
from secateurs.recipes._config import Recipe
from secateurs.recipes._directory import read_state
from secateurs.recipes._run import RunOptions

__all__ = ["launch"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# A rank that was told to stop finishes its step and saves; one that hangs in an exchange never hears of it.
_PATIENCE_S = 60


def launch(recipe: Recipe, out: Path, options: RunOptions) -> dict[str, Any]:
    """Carry out the recipe in `recipe.devices` processes; what its run.json holds then.

    Lines for `options.notify` and progress come from rank 0, on standard error.

    Raises:
        SecateursError: what ended the rank that failed first, as it was raised there.
        Interrupted: a signal came; the ranks have saved what they could.
    """
    settings = {
        "recipe": recipe.resolved(),
        "out": str(out),
        "options": {
            "resume": options.resume,
            "progress": options.progress,
            "checkpoint_minutes": options.checkpoint_minutes,
        },
        "path": sys.path,
        "threads": max(1, (os.cpu_count() or 1) // recipe.devices),
    }
    with tempfile.TemporaryDirectory(prefix="secateurs-") as folder:
        file = Path(folder) / "run.json"
        file.write_text(json.dumps(settings), encoding="utf-8")
        _start(recipe.devices, ["-m", "secateurs.recipes._rank", str(file)], Path(folder))
    return read_state(out)


def _start(count: int, arguments: list[str], logs: Path) -> None:
    # Imported where it is needed: it takes a second.
    api = importlib.import_module("torch.distributed.launcher.api")
    multiprocessing = importlib.import_module("torch.distributed.elastic.multiprocessing")
    config = api.LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="127.0.0.1",  # else the machine's name, which containers often cannot resolve
        max_restarts=0,
        shutdown_timeout=_PATIENCE_S,
        logs_specs=multiprocessing.DefaultLogsSpecs(log_dir=str(logs)),
    )
    try:
        with _quietly():
            api.elastic_launch(config, sys.executable)(*arguments)
    except multiprocessing.SignalException as stop:
        raise Interrupted(signal.Signals(stop.sigval)) from None
    except multiprocessing.errors.ChildFailedError as error:
        raise _cause(error.failures) from None


@contextmanager
def _quietly() -> Iterator[None]:
    """The launcher keeps its log and its signal handlers to itself: what happened is told by what is raised."""
    disabled, handlers = logging.root.manager.disable, {number: signal.getsignal(number) for number in _SIGNALS}
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(disabled)
        for number, handler in handlers.items():
            if signal.getsignal(number) != handler:
                signal.signal(number, handler)


def _cause(failures: Mapping[int, Any]) -> SecateursError | Interrupted:
    """Of all failed ranks, the one that the others failed by."""
    said = {rank: values for rank, failure in failures.items() if (values := _said(failure))}
    own = [error_from(values) for values in said.values() if values["kind"] != RankError.__name__]
    if own:
        return own[0]
    waited = [error_from(values) for values in said.values() if "imed out" in values["got"]]
    if waited:  # one hangs; the launcher has killed it since
        return waited[0]
    # The launcher ends the others by SIGTERM.
    killed = {rank: failure for rank, failure in failures.items() if failure.exitcode < 0 and failure.exitcode != -15}
    silent = {rank: failure for rank, failure in failures.items() if rank not in said and failure.exitcode > 0}
    stopped = [code - 128 for code in (failure.exitcode for failure in silent.values()) if code in (130, 143)]
    if stopped and not killed:
        return Interrupted(signal.Signals(max(stopped)))
    rank, failure = next(iter((killed or silent or failures).items()))
    ended = f"killed by {failure.signal_name()}" if failure.exitcode < 0 else f"ended with code {failure.exitcode}"
    also = next((f" ({values['got']})" for other, values in said.items() if other != rank), "")
    return RankError(
        f"rank {rank}",
        wanted="to reach the end",
        got=f"{ended}{also}",
        cure="Look at its output above, and at the machine's memory; then go on with --resume.",
    )


def _said(failure: Any) -> dict[str, str]:
    """What a rank has left in its error file, if that is one of our errors."""
    message = failure.error_file_data.get("message")
    extra = message.get("extraInfo", {}) if isinstance(message, dict) else {}
    values: dict[str, str] = extra.get("secateurs") or {}
    return values
