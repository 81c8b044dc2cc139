"""What every type of stage offers to the run; a new one is a file beside this one and a row of the table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from torch import nn
from torch.optim import Optimizer

from secateurs.surgery import load

if TYPE_CHECKING:
    from secateurs.data import Splits
    from secateurs.recipes._session import Session

__all__ = ["CHECKPOINT_FILE", "MODEL_FILE", "Masking", "StageType", "Step"]

MODEL_FILE = "model.safetensors"
CHECKPOINT_FILE = "checkpoint.safetensors"


Masking = Literal["keeps", "makes", "needs", "cuts", "refuses"]
"""Masks in force stay so; are made; are needed, and stay; are needed, and go as their units do; must not be there."""


class StageType:
    """A stage: its options are the fields of the subclass, its work is `run`.

    A stage that leaves another model calls `session.save_model(step)`, or writes what its own `restore` reads.
    """

    type: Any
    """The literal that recipes choose it by."""
    name: str | None
    """What its folder is called, where not by its type."""
    changes: ClassVar[bool] = True
    """It leaves another model than it finds."""
    cuts: ClassVar[bool] = False
    """It makes the model smaller; its results hold `before`, `after`, `asked`, `removed` and `verified`."""
    measures: ClassVar[bool] = False
    """Its results say how good the model is at the end."""
    masking: ClassVar[Masking] = "keeps"
    """What it does to the masks on weights that are in force when it begins."""

    @property
    def hands_on(self) -> bool:
        """It takes over an optimizer with its momentum and gives it to the stage after it."""
        return False

    @property
    def needs_masks(self) -> bool:
        """There must be masks in force when it begins."""
        return self.masking in ("needs", "cuts")

    def describe(self) -> str:
        """The stage in a few words."""
        raise NotImplementedError

    def check(self) -> None:
        """Try what the options name before any work is done."""

    def check_data(self, splits: "Splits") -> None:
        """Try what the options say of the data before any work is done."""

    def run(self, session: "Session", step: "Step") -> Mapping[str, Any]:
        """Do the work on `session.model`; the results for run.json."""
        raise NotImplementedError

    def restore(self, session: "Session", step: "Step", dense: nn.Module) -> nn.Module:
        """The model as this stage left it, from its files and the network that the run began with."""
        return load(session.directory.folder(step.name) / MODEL_FILE, lambda: dense)

    def optimizer_over(self, session: "Session", step: "Step") -> Optimizer | None:  # noqa: ARG002 - for subclasses
        """A fresh optimizer over `session.model` with this stage's settings; None where it does not train."""
        return None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stage as it is carried out.

    Attributes:
        index: 0-based place in the run.
        name: folder name in the run directory, such as `01-prune`.
        stage: what to do.
    """

    index: int
    name: str
    stage: StageType
