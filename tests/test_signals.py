"""Signals that are really sent, to this process or to one of its own."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from secateurs._errors import Interrupted
from secateurs._signals import deferred, interruptible

BOTH = [signal.SIGINT, signal.SIGTERM]


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in BOTH]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_an_exception_and_handlers_come_back(number: signal.Signals, code: int) -> None:
    before = handlers()
    with pytest.raises(Interrupted, match=f"^interrupted by {number.name}$") as caught, interruptible():
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == code
    assert isinstance(caught.value, KeyboardInterrupt)
    assert handlers() == before


@pytest.mark.parametrize("number", BOTH)
def test_deferred_it_is_noted_and_raised_at_the_end(number: signal.Signals) -> None:
    done = []
    before = handlers()

    def work() -> None:
        with interruptible(), deferred() as watch:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)  # forwarded by some wrapper: not a second wish
            done.append(watch.received)

    with pytest.raises(Interrupted):
        work()
    assert done == [number]
    assert handlers() == before


def test_an_error_of_the_body_is_not_hidden() -> None:
    def work() -> None:
        with deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        work()


def test_handlers_of_the_user_stay() -> None:
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    try:
        with deferred() as watch:
            os.kill(os.getpid(), signal.SIGTERM)
            assert watch.received is None
    finally:
        signal.signal(signal.SIGTERM, before)
    assert got == [signal.SIGTERM]


def test_other_threads_are_left_alone() -> None:
    seen: list[object] = []

    def work() -> None:
        with deferred() as watch:
            seen.append((handlers(), watch.received))

    before = handlers()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, None)]


@pytest.mark.parametrize("number", BOTH)
def test_a_second_signal_ends_the_process_at_once(number: signal.Signals) -> None:
    code = f"""
import os, secateurs._signals as signals
signals._SAME_SECONDS = 0.0
with signals.deferred():
    os.kill(os.getpid(), {int(number)})
    print("noted", flush=True)
    os.kill(os.getpid(), {int(number)})
    print("never")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "noted\n"
    assert done.returncode == -number
