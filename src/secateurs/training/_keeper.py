"""When a checkpoint is written, which one is read, and where a signal stops training."""

import signal
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from secateurs import _distributed
from secateurs._errors import CheckpointWarning, FileError, Interrupted, TrainingError
from secateurs._files import make_directory
from secateurs._signals import Watch
from secateurs._vote import Vote
from secateurs.training._checkpoint import Partial, Subject, load_checkpoint, save_checkpoint
from secateurs.training._records import EpochRecord

__all__ = ["CheckpointOptions", "Keeper", "previous_checkpoint", "remove_checkpoint"]

History = tuple[EpochRecord, ...]


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions:
    """Where and how often training is written down; none of it changes a result.

    Attributes:
        path: the file. The one before it is kept beside it, as `previous_checkpoint(path)`.
        epochs: written after every so many epochs, and after the last.
        minutes: written within an epoch too, once so many minutes have passed since the last time.
        stage: a name that the checkpoint must have been written under, where several trainings share a place.
    """

    path: Path
    epochs: int = 1
    minutes: float = 10.0
    stage: str = ""

    def __post_init__(self) -> None:
        for name, value, good in (
            ("epochs", self.epochs, self.epochs >= 1),
            ("minutes", self.minutes, self.minutes > 0),
        ):
            if not good:
                raise TrainingError(
                    f"checkpoint.{name}", wanted="a number above 0", got=repr(value), cure="Use 1 for the most often."
                )


def previous_checkpoint(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept: `checkpoint.previous.safetensors`."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint that is not needed any more, and the one before it."""
    previous_checkpoint(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


class Keeper:
    """Writes and reads the checkpoints of one training; without `options` it does nothing."""

    def __init__(self, options: CheckpointOptions | None, subject: Subject, watch: Watch) -> None:
        self._options, self._subject, self._watch = options, subject, watch
        self._history: History = ()
        self._good = ""
        self._whole = True
        self._saved = time.monotonic()
        self._vote = Vote()
        if options is not None:
            make_directory(options.path.parent)

    def load(self) -> tuple[History, Partial | None]:
        """Go on from the checkpoint, or from the one before where it is damaged; nothing where there is none."""
        if self._options is None:
            return (), None
        path, previous = self._options.path, previous_checkpoint(self._options.path)
        if path.exists():
            try:
                found = load_checkpoint(path, self._subject)
            except FileError as error:
                found, path = self._load_previous(error), previous
        elif previous.exists():  # killed between two renames
            found, path = load_checkpoint(previous, self._subject), previous
        else:
            return (), None
        self._history = found[0]
        self._note(path, found[1])
        return found

    @property
    def asked(self) -> bool:
        """Has a signal asked training to stop? Under several ranks, all hear of it in the same call."""
        return self._options is not None and self._heard(self._vote.largest(self._signal)) > 1

    @property
    def due(self) -> bool:
        """Is it time to write a checkpoint within the epoch, or was training asked to stop?"""
        if self._options is None:
            return False
        late = time.monotonic() - self._saved > 60 * self._options.minutes
        return self._heard(self._vote.largest(self._signal or int(late))) > 0

    def keep_partial(self, partial: Partial) -> None:
        """Write an epoch that is not done, and stop where a signal has asked for it."""
        self._save(partial)
        self.stop_if_asked()

    def keep_epoch(self, history: History, *, last: bool) -> None:
        """Write a whole epoch, if it is one of those that are written."""
        self._history = history
        if self._options is None:
            return
        asked = self._heard(self._vote.now(self._signal)) > 1
        if last or asked or len(history) % self._options.epochs == 0:
            self._save(None)

    def stop_if_asked(self) -> None:
        """Raise `Interrupted` where a signal has come; what was saved is what there is."""
        if self._options is not None:
            self._heard(self._vote.now(self._signal))
        if self._watch.received is not None and (self._options is not None or _distributed.world() == 1):
            stop = Interrupted(self._watch.received)
            stop.add_note(self.last_good)
            raise stop

    @property
    def _signal(self) -> int:
        return int(self._watch.received or 0)

    def _heard(self, answer: int) -> int:
        """What the ranks have agreed on: a signal's number, 1 where it is time to save, else 0."""
        if answer > 1:
            self._watch.received = signal.Signals(answer)
        return answer

    @property
    def last_good(self) -> str:
        """A sentence on the newest whole checkpoint; empty where there is none."""
        return self._good

    def _load_previous(self, error: FileError) -> tuple[History, Partial | None]:
        assert self._options is not None
        path, previous = self._options.path, previous_checkpoint(self._options.path)
        cure = f"Delete {path.name} and {previous.name} to begin this training anew, or put a copy back."
        if not previous.exists():
            raise FileError(error.where, wanted=error.wanted, got=error.got, cure=cure) from error
        try:
            found = load_checkpoint(previous, self._subject)
        except FileError as other:
            got = f"{error.got}; and before it {other.got}"
            raise FileError(str(path), wanted="a whole checkpoint", got=got, cure=cure) from other
        warnings.warn(f"{error} Going on from the one before, {previous}.", CheckpointWarning, stacklevel=2)
        self._whole = False
        return found

    def _save(self, partial: Partial | None) -> None:
        assert self._options is not None
        path = self._options.path
        # A damaged file must not push out the whole one that was used in its place.
        previous = previous_checkpoint(path) if self._whole else None
        save_checkpoint(path, self._subject, self._history, partial, previous=previous)
        self._whole, self._saved = True, time.monotonic()
        self._note(path, partial)

    def _note(self, path: Path, partial: Partial | None) -> None:
        epochs = len(self._history)
        steps = f" and {_counted(partial.step, 'step')} of the next" if partial else ""
        self._good = f"The last good checkpoint, {path}, holds {_counted(epochs, 'epoch')}{steps}."


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
