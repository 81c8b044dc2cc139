"""One thread for one tracker: training hands over and goes on."""

import queue
import threading
from collections.abc import Callable

from secateurs.recipes.trackers._base import About, Status, Tracker

__all__ = ["Courier"]


class Courier:
    """Carries what happens to a tracker, in order. A tracker that fails is left alone from then on.

    Attributes:
        failure: what went wrong, in one line; None while all is well.
    """

    def __init__(self, name: str, tracker: Tracker, about: About) -> None:
        self.name = name
        self.failure: str | None = None
        self._tracker, self._about = tracker, about
        self._given_up = False
        self._waiting: queue.SimpleQueue[Callable[[Tracker], None] | None] = queue.SimpleQueue()
        # A daemon: a network that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name=f"tracker {name}", daemon=True)
        self._thread.start()

    def bring(self, what: Callable[[Tracker], None]) -> None:
        """Hand over; returns at once."""
        if self.failure is None:
            self._waiting.put(what)

    def close(self, status: Status) -> None:
        """Nothing more will come."""
        self.bring(lambda tracker: tracker.close(status))
        self._waiting.put(None)

    def join(self, seconds: float) -> bool:
        """Wait so long for everything to be brought, and bring nothing after that; whether it was all."""
        self._thread.join(seconds)
        self._given_up = self._thread.is_alive()
        return not self._given_up

    def _work(self) -> None:
        try:
            self._tracker.open(self._about)
            while (what := self._waiting.get()) is not None and not self._given_up:
                what(self._tracker)
        # Whatever a service or its client raises, training is worth more. SystemExit: some clients call exit().
        except (Exception, SystemExit) as error:  # noqa: BLE001
            lines = str(error).strip().splitlines()
            self.failure = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
