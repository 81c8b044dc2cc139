"""Training: optimisation, schedules, checkpoints, evaluation. Knows nothing of pruning."""

from secateurs.training._batches import BatchSource
from secateurs.training._device import resolve_device
from secateurs.training._evaluate import evaluate
from secateurs.training._optimizer import make_optimizer
from secateurs.training._options import TrainOptions
from secateurs.training._records import EpochRecord, Evaluation, TrainResult
from secateurs.training._schedule import learning_rate
from secateurs.training._train import train

__all__ = [
    "BatchSource",
    "EpochRecord",
    "Evaluation",
    "TrainOptions",
    "TrainResult",
    "evaluate",
    "learning_rate",
    "make_optimizer",
    "resolve_device",
    "train",
]
