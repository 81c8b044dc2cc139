"""TensorBoard: event files in the run directory."""

from collections.abc import Mapping
from typing import Any

from secateurs.recipes.trackers._base import About, Status, flat

__all__ = ["TensorBoardTracker"]

FOLDER = "tensorboard"
_SHOWN = ("summary/after/test_accuracy", "summary/after/macs", "summary/after/params")
"""Columns of the page that compares settings."""


class TensorBoardTracker:
    """Appends to what is there: each process writes a file of its own, and TensorBoard shows them as one run."""

    def __init__(self) -> None:
        self._writer: Any = None
        self._there: set[tuple[str, int]] = set()

    def open(self, about: About) -> None:
        """Read what earlier processes wrote, then start a new file."""
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        folder = about.folder / FOLDER
        fresh = not folder.exists()
        self._there = set() if fresh else _steps(str(folder))
        self._writer = SummaryWriter(str(folder))
        if fresh:
            plain = flat(about.config, "")
            for summary in hparams(plain, dict.fromkeys(_SHOWN, 0)):
                self._writer.file_writer.add_summary(summary)
            rows = "".join(f"| {key} | {value} |\n" for key, value in plain.items())
            self._writer.add_text("recipe", f"| key | value |\n|---|---|\n{rows}")
            self._writer.flush()

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Scalars at that step. A kill may have cut an epoch short, so each tag is looked up alone."""
        for tag, value in values.items():
            if (tag, number) not in self._there:
                self._there.add((tag, number))
                self._writer.add_scalar(tag, value, number)
        self._writer.flush()

    def results(self, number: int, values: Mapping[str, float]) -> None:
        """Scalars too, with a single point each."""
        self.epoch(number, values)

    def close(self, status: Status) -> None:  # noqa: ARG002 - event files have no status
        """Close the file."""
        self._writer.close()


def _steps(folder: str) -> set[tuple[str, int]]:
    """(tag, step) of every scalar in the event files; half a record at the end of one, as a kill leaves it, is none."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(folder, size_guidance={"scalars": 0})  # 0: all of them
    found.Reload()
    return {(tag, event.step) for tag in found.Tags()["scalars"] for event in found.Scalars(tag)}
