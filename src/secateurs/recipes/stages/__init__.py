"""What is done in a run: one file for each type of stage, and the table of them."""

from secateurs.recipes.stages._base import CHECKPOINT_FILE, MODEL_FILE, StageType, Step
from secateurs.recipes.stages._distil_section import first_loss
from secateurs.recipes.stages._hold import HoldStage, left_out, undone
from secateurs.recipes.stages._mask_section import MASKS_FILE
from secateurs.recipes.stages._measure import MeasureStage
from secateurs.recipes.stages._prune import CriterionSection, PruneStage
from secateurs.recipes.stages._table import RepeatStage, Stage, expand
from secateurs.recipes.stages._train import TrainStage

__all__ = [
    "CHECKPOINT_FILE",
    "MASKS_FILE",
    "MODEL_FILE",
    "CriterionSection",
    "HoldStage",
    "MeasureStage",
    "PruneStage",
    "RepeatStage",
    "Stage",
    "StageType",
    "Step",
    "TrainStage",
    "expand",
    "first_loss",
    "left_out",
    "undone",
]
