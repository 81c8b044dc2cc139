"""Weights & Biases: online, or into files that `wandb sync` sends later."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from secateurs._files import write_json
from secateurs.recipes.trackers._base import About, Status
from secateurs.recipes.trackers._section import WandbOptions

__all__ = ["WandbTracker", "wandb_mode"]

FOLDER = "wandb"


def wandb_mode(options: WandbOptions) -> str:
    """`online`, `offline` or what else WANDB_MODE may say."""
    return options.mode or os.environ.get("WANDB_MODE", "online")


class WandbTracker:
    """Its own files cannot be asked what they hold, so the epochs that were sent are noted beside them."""

    def __init__(self, options: WandbOptions) -> None:
        self._options = options
        self._run: Any = None
        self._note = Path()
        self._epochs: set[int] = set()

    def open(self, about: About) -> None:
        """Start or continue the run called by our id."""
        import wandb

        self._note = about.folder / FOLDER / "sent.json"
        self._epochs = _noted(self._note)
        self._note.parent.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=self._options.project or about.study,
            entity=self._options.entity,
            id=about.id,
            name=about.name,
            group=about.study if about.part else None,
            config=dict(about.config),
            dir=str(about.folder),
            mode=wandb_mode(self._options),  # type: ignore[arg-type, unused-ignore]
            resume="allow",
            reinit="create_new",
            # Our display is the terminal's, and a line that it printed would be sent back and forth.
            settings=wandb.Settings(silent=True, console="off"),
        )
        # The server goes on after the last step it has; what is earlier it would not take.
        self._epochs |= set(range(self._run.step))

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """One row. The note comes first: a kill between the two loses a row in W&B rather than doubling it."""
        if number not in self._epochs:
            self._epochs.add(number)
            write_json(self._note, sorted(self._epochs))
            self._run.log({**values, "epoch": number}, step=number, commit=True)

    def results(self, number: int, values: Mapping[str, float]) -> None:  # noqa: ARG002 - a summary has no steps
        """Into the run's summary, where a value stands once however often it is set."""
        self._run.summary.update(dict(values))

    def close(self, status: Status) -> None:
        """Send what waits; an exit code tells W&B how it went."""
        self._run.finish(exit_code=0 if status == "finished" else 1)


def _noted(file: Path) -> set[int]:
    try:
        return {int(number) for number in json.loads(file.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError):
        return set()
