"""Errors that say where, what was wanted, what was found, and what to do about it."""

import signal

__all__ = [
    "BudgetError",
    "CheckpointWarning",
    "ConfigError",
    "DataError",
    "FileError",
    "GraphError",
    "HeldError",
    "Interrupted",
    "PlanError",
    "RankError",
    "SecateursError",
    "TrainingError",
    "VerifyError",
    "WrapperWarning",
]


_LONGEST = 1200


class SecateursError(Exception):
    """Base of every error that Secateurs raises on purpose.

    Args:
        where: the module path, file or key that is at fault.
        wanted: what would have been right.
        got: what was found, with the offending value.
        cure: one sentence that tells the reader what to do.
    """

    def __init__(self, where: str, *, wanted: str, got: str, cure: str) -> None:
        self.where, self.wanted, self.got, self.cure = where, wanted, got, cure
        where, wanted, got, cure = map(_readable, (where, wanted, got, cure))
        super().__init__(f"{where}: wanted {wanted}, got {got}. {cure}")


def _readable(part: str) -> str:
    """Fit for a terminal: what a damaged file holds may be megabytes long, or steer the terminal."""
    if len(part) > _LONGEST:
        part = f"{part[: _LONGEST - 200]} [...] {part[-150:]}"
    if part.isprintable():
        return part
    # Lone surrogates and invisible characters too: neither can be printed everywhere.
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in part)


class GraphError(SecateursError):
    """The model could not be traced."""


class PlanError(SecateursError):
    """A plan that cannot be carried out; nothing was changed."""


class BudgetError(PlanError):
    """A budget that no allowed plan reaches."""


class VerifyError(SecateursError):
    """The cut model does not equal the masked dense model."""


class ConfigError(SecateursError):
    """A recipe or command line that does not make sense."""


class HeldError(ConfigError):
    """A directory that another run has at this moment."""


class DataError(SecateursError):
    """Data that is missing, unreadable or of the wrong form."""


class FileError(SecateursError):
    """A file that is missing, damaged or cannot be written."""


class TrainingError(SecateursError):
    """Training cannot go on."""


class RankError(TrainingError):
    """Another rank of this run has failed, so this one cannot go on either."""


class CheckpointWarning(UserWarning):
    """A checkpoint is damaged, and training goes on from the one before it."""


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM came, and what could be saved has been saved.

    A `KeyboardInterrupt`, so that `except Exception` does not swallow it and code that knows Ctrl-C knows this too.
    """

    def __init__(self, received: signal.Signals) -> None:
        self.received = received
        super().__init__(f"interrupted by {received.name}")

    @property
    def exit_code(self) -> int:
        """What a process that ends for this reason leaves with: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + int(self.received)


class WrapperWarning(UserWarning):
    """A wrapper around a model (compiled, data-parallel) was looked through."""
