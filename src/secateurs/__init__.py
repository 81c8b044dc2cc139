"""Secateurs cuts trained PyTorch networks down to what they need, and proves that the cut is right."""

from secateurs import criteria, dynamic, eigen, models, sparsity
from secateurs._errors import (
    BudgetError,
    CheckpointWarning,
    ConfigError,
    DataError,
    FileError,
    GraphError,
    Interrupted,
    PlanError,
    SecateursError,
    TrainingError,
    VerifyError,
    WrapperWarning,
)
from secateurs._version import __version__
from secateurs.cost import Latency, TrainingCost, cost, latency, training_cost
from secateurs.graph import Axis, Cost, Graph, Member, Plan, trace
from secateurs.selection import select
from secateurs.surgery import RepairOptions, RepairReport, Report, Result, apply, load, masked, prune, repair, save

__all__ = [
    "Axis",
    "BudgetError",
    "CheckpointWarning",
    "ConfigError",
    "Cost",
    "DataError",
    "FileError",
    "Graph",
    "GraphError",
    "Interrupted",
    "Latency",
    "Member",
    "Plan",
    "PlanError",
    "RepairOptions",
    "RepairReport",
    "Report",
    "Result",
    "SecateursError",
    "TrainingCost",
    "TrainingError",
    "VerifyError",
    "WrapperWarning",
    "__version__",
    "apply",
    "cost",
    "criteria",
    "dynamic",
    "eigen",
    "latency",
    "load",
    "masked",
    "models",
    "prune",
    "repair",
    "save",
    "select",
    "sparsity",
    "trace",
    "training_cost",
]
