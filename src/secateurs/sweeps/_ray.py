"""Runs on a Ray cluster. Its machines share the file system that the sweep's directory is on."""

import importlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from secateurs._errors import ConfigError
from secateurs.sweeps._config import Resources
from secateurs.sweeps._job import Job, Outcome, carry_out
from secateurs.sweeps._workers import Ended

__all__ = ["RayWorkers"]

_PATIENCE_S = 60.0
_KNOCK_S = 10.0
_POLL_S = 0.1


class RayWorkers:
    """Runs as tasks of a cluster, which chooses where; `count` at a time, or as many as fit.

    Attempts are counted by the sweep, so the cluster itself tries nothing again.
    """

    def __init__(self, address: str, count: int | None, resources: Resources) -> None:
        self._ray = _import_ray()
        self._count = count
        self._own = not self._ray.is_initialized()
        if self._own:
            _connect(self._ray, address)
        self._needs = {"CPU": float(resources.cpus or 1), "GPU": float(resources.gpus)}
        self._tasks: dict[Any, str] = {}
        # A process that ends gives its GPU's memory back, and one without a GPU saves its imports for the next run.
        ending = {"max_calls": 1} if resources.gpus else {}
        options = {"num_cpus": self._needs["CPU"], "num_gpus": self._needs["GPU"], "max_retries": 0, **ending}
        self._task = self._ray.remote(**options)(carry_out).options(scheduling_strategy="SPREAD", name="secateurs")
        if not count and not self._fitting():
            self.close()
            raise ConfigError(
                "resources",
                wanted="what a machine of the cluster has",
                got=f"cpus: {self._needs['CPU']:g}, gpus: {self._needs['GPU']:g}",
                cure="Ask for less, or say how many `workers` to wait for on a cluster that grows by itself.",
            )

    def room(self) -> int:
        """How many more runs can be taken on now; machines come and go."""
        return max(0, (self._count or max(1, self._fitting())) - len(self._tasks))

    def submit(self, job: Job) -> None:
        """Take one on."""
        self._tasks[self._task.remote(job.to_json())] = job.path

    def wait(self, seconds: float) -> Sequence[Ended]:
        """Those that have ended, once there are any or so many seconds have passed."""
        until = time.monotonic() + seconds
        while True:
            tasks = list(self._tasks)
            ready, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=0) if tasks else ([], [])
            if ready or not tasks or time.monotonic() > until:
                break
            time.sleep(_POLL_S)  # not inside of Ray, which would make another exception of what a signal raises
        return [Ended(path=self._tasks.pop(task), outcome=self._outcome(task)) for task in ready]

    def cancel(self, path: str) -> None:
        """Let a run save what it has and end."""
        for task, other in self._tasks.items():
            if other == path:
                self._ray.cancel(task, force=False, recursive=False)

    def close(self) -> None:
        """End whatever runs still, after it has saved what it has."""
        for path in list(self._tasks.values()):
            self.cancel(path)
        until = time.monotonic() + _PATIENCE_S
        while self._tasks and time.monotonic() < until:
            self.wait(0.5)
        for task in self._tasks:
            self._ray.cancel(task, force=True)
        if self._own:
            self._ray.shutdown()

    def _outcome(self, task: Any) -> Outcome:
        try:
            return Outcome(**json.loads(self._ray.get(task)))
        except self._ray.exceptions.TaskCancelledError:
            return Outcome(status="interrupted", figures={}, error="interrupted")
        except self._ray.exceptions.NodeDiedError as error:
            return Outcome(status="gone", figures={}, error=_first_line(error))
        except self._ray.exceptions.RayError as error:
            return Outcome(status="lost", figures={}, error=_first_line(error))

    def _fitting(self) -> int:
        """Runs that the machines of the cluster hold together."""
        found = 0
        for node in self._ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                found += min(int(has.get(kind, 0.0) / need + 1e-9) for kind, need in self._needs.items() if need)
        return found


def _import_ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ConfigError(
            "--ray", wanted="the package ray", got="none installed", cure="pip install 'secateurs[sweeps]'"
        ) from error


def _connect(ray: Any, address: str) -> None:
    # An address where nobody answers is asked once, for half a minute; Ray asks for many minutes.
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
    try:
        _knock(address)
        with _own_signals():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(
            "--ray",
            wanted="a cluster that answers",
            got=f"{address}: {_first_line(error)}",
            cure="Start one by `ray start --head` and give --ray auto on that machine, or its address HOST:6379.",
        ) from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """What signals do stays as it was: Ray would leave at SIGTERM without letting runs save their work."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if main and handler is not None:
                signal.signal(number, handler)


def _knock(address: str) -> None:
    """Whether anything listens there; "auto" and addresses of other kinds are left to Ray."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()


def _first_line(error: BaseException) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text}"
