"""Calls of a model that stop before any operator and go on when told: one lane for each batch of a calibration set.

So a whole set is carried along a model step by step, whatever its code is, with no more held than what each call
needs to go on. The code of a call runs in a thread of its own; operators run in the thread that asks, one at a time.
"""

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Lane", "Operator"]


class Operator(NamedTuple):
    """An operator that is about to run, with its arguments."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def run(self) -> Any:
        """What it returns."""
        return self.func(*self.args, **self.kwargs)


class _Over(NamedTuple):
    """A call that has come to its end."""

    error: BaseException | None


class _Closed(BaseException):
    """Ends the code of a call that nobody waits for; no model's `except Exception` holds it up."""


class Lane:
    """One call, which begins when first asked for an operator.

    Args:
        call: runs the model.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._asked: SimpleQueue[Operator | _Over] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._over = False
        self.waiting: Operator | None = None
        """The operator that the call has come to."""

    def reach(self, wanted: Callable[[Operator], bool]) -> Operator | None:
        """Go on, past the operator that waits, to the next one that is wanted; None at the end of the call."""
        if self.waiting is not None:
            self.step()
        while (operator := self._next()) is not None and not wanted(operator):
            self.waiting = None
            self._answer(operator)
        return operator

    def step(self) -> Any:
        """Run the operator that waits; what it returns."""
        assert self.waiting is not None
        operator, self.waiting = self.waiting, None
        return self._answer(operator)

    def close(self) -> None:
        """End the call where it is."""
        self.waiting = None
        if self._thread is not None and not self._over:
            self._answers.put(_Closed())
            self._asked.get()
        if self._thread is not None:
            self._thread.join()
        self._over = True

    def _answer(self, operator: Operator) -> Any:
        try:
            result = operator.run()
        except Exception as error:  # noqa: BLE001 - it is raised where the model's code may expect it
            self._answers.put(_Failed(error))
            return None
        self._answers.put(result)
        return result

    def _next(self) -> Operator | None:
        if self._over:
            return None
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        asked = self._asked.get()
        if isinstance(asked, _Over):
            self._over = True
            if asked.error is not None:
                raise asked.error
            return None
        self.waiting = asked
        return asked

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            with torch.inference_mode(False), torch.no_grad(), _Handing(self._ask):
                self._call()
        except _Closed:
            pass
        except BaseException as raised:  # noqa: BLE001 - it is raised where the lane is asked
            error = raised
        self._asked.put(_Over(error))

    def _ask(self, operator: Operator) -> Any:
        self._asked.put(operator)
        del operator
        answer = self._answers.get()
        if isinstance(answer, _Closed):
            raise answer
        if isinstance(answer, _Failed):
            raise answer.error
        return answer


class _Failed(NamedTuple):
    """An operator that raised."""

    error: Exception


class _Handing(TorchDispatchMode):
    """Hands every operator that computes over, instead of running it."""

    def __init__(self, ask: Callable[[Operator], Any]) -> None:
        super().__init__()
        self._ask = ask

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.is_view:  # torch does not take views from elsewhere, and they cost nothing
            return func(*args, **(kwargs or {}))
        return self._ask(Operator(func, args, kwargs or {}))
