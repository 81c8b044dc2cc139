"""Training: optimisation, schedules, checkpoints, evaluation. Knows nothing of pruning."""

from secateurs.training._batches import BatchSource
from secateurs.training._device import resolve_device
from secateurs.training._distillation import Distillation, DistillationOptions
from secateurs.training._elbo import Elbo, ElboEvaluation, evaluate_elbo
from secateurs.training._evaluate import evaluate
from secateurs.training._features import Features
from secateurs.training._keeper import CheckpointOptions, remove_checkpoint
from secateurs.training._objective import Classification, Objective
from secateurs.training._optimizer import make_optimizer
from secateurs.training._options import TrainOptions
from secateurs.training._pace import Pace
from secateurs.training._penalised import Penalised
from secateurs.training._precision import resolve_precision
from secateurs.training._progress import BarReporter, LineReporter, Progress, Reporter, reporting, terminal
from secateurs.training._records import EpochRecord, Evaluation, TrainResult
from secateurs.training._schedule import learning_rate
from secateurs.training._train import train

__all__ = [
    "BarReporter",
    "BatchSource",
    "CheckpointOptions",
    "Classification",
    "Distillation",
    "DistillationOptions",
    "Elbo",
    "ElboEvaluation",
    "EpochRecord",
    "Evaluation",
    "Features",
    "LineReporter",
    "Objective",
    "Pace",
    "Penalised",
    "Progress",
    "Reporter",
    "TrainOptions",
    "TrainResult",
    "evaluate",
    "evaluate_elbo",
    "learning_rate",
    "make_optimizer",
    "remove_checkpoint",
    "reporting",
    "resolve_device",
    "resolve_precision",
    "terminal",
    "train",
]
