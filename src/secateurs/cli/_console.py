"""Standard output for results, standard error for everything else."""

import sys
from collections.abc import Sequence

from rich.console import Console

__all__ = ["choose", "complain", "out", "say"]


def out() -> Console:
    """Where results go. Made anew for each use, because tests and pipes exchange sys.stdout."""
    return Console(highlight=False)


def say(line: str) -> None:
    """One line about what is going on."""
    # Not by a rich console: one of those would write straight through a live display, and break it.
    print(line, file=sys.stderr, flush=True)


def complain(message: str) -> int:
    """One line that begins with `error:`; the exit code for bad input."""
    print("error:", " ".join(message.split()), file=sys.stderr)
    return 2


def choose(question: str, choices: Sequence[str]) -> str:
    """Ask the person at the terminal for one of these, by number or name, until it is one of them."""
    numbers = {str(number): choice for number, choice in enumerate(choices, start=1)}
    say(question)
    for number, choice in numbers.items():
        say(f"  {number} {choice}")
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if not answer:
            raise KeyboardInterrupt  # the end of input, as Ctrl-D gives it
        answer = answer.strip()
        if answer in numbers or answer in choices:
            return numbers.get(answer, answer)
        say(f"one of {', '.join([*numbers, *choices])}, please")
