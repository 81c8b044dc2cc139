"""A thing to fuzz, and how it is done."""

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from secateurs import SecateursError
from tests.fuzz._bounds import OutOfBounds, bounded, watched

__all__ = ["Target", "fuzz"]

# Errors go to a terminal: one that repeats a damaged file in full helps nobody.
_LONGEST_MESSAGE = 5000


@dataclass(frozen=True, kw_only=True)
class Target:
    """Cases, and what is done with each.

    Attributes:
        cases: the strategy.
        check: takes (case, an empty folder of its own to write to); returns where the case is taken, with assertions
            that it is right; a `SecateursError` refuses it; anything else is a defect.
        fast: cases in the fast suite.
        slow: cases of `make test-slow`.
    """

    cases: st.SearchStrategy[Any]
    check: Callable[[Any, Path], None]
    fast: int = 150
    slow: int = 10_000


def fuzz(target: Target, count: int, *, log: Path | None = None) -> Counter[str]:
    """Try so many cases within the bounds; how many were taken, and refused by which error.

    Args:
        target: what to try.
        count: of cases; the same ones every time.
        log: where each case is noted before it is tried, for one that takes the whole process down.
    """
    outcomes: Counter[str] = Counter()

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),  # explaining a failure traces every line, which takes minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(target.cases)
    def each(case: Any) -> None:
        if log is not None:
            log.write_text(repr(case)[:100_000], encoding="utf-8", errors="backslashreplace")
        with tempfile.TemporaryDirectory(prefix="case-") as folder:
            outcomes[_outcome(target, case, Path(folder))] += 1

    try:
        each()
    except OutOfBounds as error:
        raise AssertionError(str(error)) from error
    return outcomes


def _outcome(target: Target, case: Any, folder: Path) -> str:
    before = os.getcwd()  # noqa: PTH109 - only to see that it stays
    try:
        with watched(folder), bounded():
            target.check(case, folder)
    except SecateursError as error:
        _check_told(error)
        return type(error).__name__
    finally:
        assert os.getcwd() == before  # noqa: PTH109
    return "taken"


def _check_told(error: SecateursError) -> None:
    assert all((error.where, error.wanted, error.got, error.cure)), repr(error)
    assert len(str(error)) <= _LONGEST_MESSAGE, f"a message of {len(str(error))} characters: {str(error)[:500]}"
