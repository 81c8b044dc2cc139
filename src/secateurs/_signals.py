"""SIGINT and SIGTERM: raised at once where nothing is lost, noted where a step must first be finished."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from secateurs._errors import Interrupted

__all__ = ["Watch", "deferred", "interruptible"]

_SAME_SECONDS = 1.0
"""Programs that forward signals (timeout, torchrun, shells) send one twice; that is not impatience."""

# A handler of the user's own stays, and so does "ignore": only what Python and the system do by themselves changes.
_DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Watch:
    """What has been received, and whether it waits.

    Attributes:
        received: the signal that came while it was deferred.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.depth = 0
        self._first: float | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        self._previous = {number: old for number, old in _DEFAULTS.items() if signal.getsignal(number) == old}
        for number in self._previous:
            signal.signal(number, self._handle)

    def restore(self) -> None:
        for number, old in self._previous.items():
            signal.signal(number, old)
        self._previous = {}

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first, name = now, signal.Signals(number)
            if not self.depth:
                raise Interrupted(name)
            self.received = name
        elif now - self._first > _SAME_SECONDS:
            # The second one means it: whatever would have happened without us happens now.
            self.restore()
            signal.raise_signal(number)


_active: Watch | None = None


@contextmanager
def interruptible() -> Iterator[Watch]:
    """Inside, the first SIGINT or SIGTERM raises `Interrupted`, or waits where `deferred` is entered.

    A second one has its usual effect: SIGTERM ends the process. Contexts may be nested; only the main thread
    receives signals, so in any other this does nothing.
    """
    global _active
    if threading.current_thread() is not threading.main_thread():
        yield Watch()
        return
    if _active is not None:
        yield _active
        return
    _active = Watch()
    try:
        _active.install()
        yield _active
    finally:
        _active.restore()
        _active = None


@contextmanager
def deferred() -> Iterator[Watch]:
    """Inside, a signal is only noted: the body asks `received` where it can stop. At the end it is raised after all."""
    with interruptible() as watch:
        watch.depth += 1
        try:
            yield watch
        finally:
            watch.depth -= 1
        if watch.received is not None and not watch.depth:
            raise Interrupted(watch.received)
