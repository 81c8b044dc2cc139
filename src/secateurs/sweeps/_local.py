"""Runs on this machine, each in a process of its own."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import torch

from secateurs.sweeps._config import Resources
from secateurs.sweeps._job import Job, Outcome
from secateurs.sweeps._workers import Ended

__all__ = ["LocalWorkers", "visible_devices"]

_PATIENCE_S = 60.0


class LocalWorkers:
    """At most `count` runs at a time."""

    def __init__(self, count: int, resources: Resources) -> None:
        self._count, self._resources = count, resources
        self._idle: list[_Slot] = []
        self._busy: dict[str, _Slot] = {}
        self._ended: queue.Queue[Ended] = queue.Queue()

    def room(self) -> int:
        """How many more runs can be taken on now."""
        return self._count - len(self._busy)

    def submit(self, job: Job) -> None:
        """Take one on."""
        slot = self._idle.pop() if self._idle else self._new_slot()
        self._busy[job.path] = slot
        slot.start(job, self._ended)

    def wait(self, seconds: float) -> Sequence[Ended]:
        """Those that have ended, once there are any or so many seconds have passed."""
        found: list[Ended] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._ended.get(timeout=seconds))
            while True:
                found.append(self._ended.get_nowait())
        for each in found:
            slot = self._busy.pop(each.path)
            if slot.alive:
                self._idle.append(slot)
        return found

    def cancel(self, path: str) -> None:
        """Let a run save what it has and end."""
        self._busy[path].signal(signal.SIGTERM)

    def close(self) -> None:
        """End whatever runs still, after it has saved what it has."""
        for path in list(self._busy):
            self.cancel(path)
        until = time.monotonic() + _PATIENCE_S
        while self._busy and time.monotonic() < until:
            self.wait(0.1)
        for slot in (*self._busy.values(), *self._idle):
            slot.close()
        self._busy, self._idle = {}, []

    def _new_slot(self) -> "_Slot":
        taken = {slot.number for slot in (*self._busy.values(), *self._idle)}
        number = next(number for number in range(self._count) if number not in taken)
        return _Slot(number, visible_devices(number, self._resources.gpus))


class _Slot:
    """A process of `secateurs.sweeps._slot`, in a group of its own: Ctrl-C in the terminal does not reach it."""

    def __init__(self, number: int, devices: str | None) -> None:
        self.number = number
        shown = {} if devices is None else {"CUDA_VISIBLE_DEVICES": devices}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "secateurs.sweeps._slot"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **shown},
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def start(self, job: Job, ended: "queue.Queue[Ended]") -> None:
        threading.Thread(target=self._carry_out, args=(job, ended), daemon=True).start()

    def _carry_out(self, job: Job, ended: "queue.Queue[Ended]") -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answer = ""
        with contextlib.suppress(OSError):  # it has died; so says the empty answer
            self._process.stdin.write(job.to_json() + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if answer.endswith("\n"):
            ended.put(Ended(path=job.path, outcome=Outcome(**json.loads(answer))))
            return
        self.signal(signal.SIGKILL)
        self._process.wait()
        gone = Outcome(status="lost", figures={}, error=f"its worker ended with {self._process.returncode}")
        ended.put(Ended(path=job.path, outcome=gone))

    def signal(self, number: signal.Signals) -> None:
        """To the run and whatever it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def visible_devices(slot: int, gpus: float, devices: Sequence[str] | None = None) -> str | None:
    """CUDA_VISIBLE_DEVICES of a slot whose runs take so many GPUs; None to leave it as it is.

    Args:
        devices: those of this machine; None to look.
    """
    if not gpus:
        return None
    if devices is None:
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        devices = named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]
    if not devices:
        return None
    first, wanted = int(slot * gpus + 1e-9), max(1, int(gpus))
    return ",".join(devices[(first + index) % len(devices)] for index in range(min(wanted, len(devices))))
