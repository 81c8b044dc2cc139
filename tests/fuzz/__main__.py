"""`python -m tests.fuzz NAME COUNT [LOG]`: one target in a process of its own, which a crash takes down alone."""

import faulthandler
import sys
from pathlib import Path

from tests.fuzz._target import fuzz
from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz, and print the counts."""
    name, count, *log = sys.argv[1:]
    faulthandler.enable()
    outcomes = fuzz(TARGETS[name], int(count), log=Path(log[0]) if log else None)
    told = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
    print(f"{name}: {outcomes.total()} cases: {told}")


main()
