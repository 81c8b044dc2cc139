"""A question that every rank asks itself before each step, and that all must answer alike."""

import time

import torch

from secateurs import _distributed

__all__ = ["Vote"]

_PAUSE_S = 1.0
_MOST_CALLS = 1000


class Vote:
    """The largest answer of any rank, asked for about once a second: an exchange before each step would cost more.

    When to ask is worked out from times that all ranks have exchanged, so that all ask in the same call. In one
    process each answer is its own.
    """

    def __init__(self) -> None:
        self._calls, self._next = 0, 1
        self._asked = time.monotonic()

    def largest(self, answer: int) -> int:
        """The largest `answer` of all ranks where it is time to ask, else 0."""
        if _distributed.world() == 1:
            return answer
        self._calls += 1
        if self._calls < self._next:
            return 0
        return self.now(answer)

    def now(self, answer: int) -> int:
        """The largest `answer` of all ranks."""
        if _distributed.world() == 1:
            return answer
        passed = time.monotonic() - self._asked
        answers = torch.tensor([float(answer), passed], dtype=torch.float64)
        _distributed.all_reduce([answers], "max")
        largest, slowest = answers.tolist()
        calls = max(self._calls, 1)
        self._next = int(min(max(_PAUSE_S * calls / max(slowest, 1e-6), 1), _MOST_CALLS))
        self._calls, self._asked = 0, time.monotonic()
        return int(largest)
