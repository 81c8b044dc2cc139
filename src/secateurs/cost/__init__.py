"""What a model costs: counted by `cost` and `training_cost`, measured by `latency`."""

from secateurs.cost._design import design_gops
from secateurs.cost._latency import Latency, LatencyPair, LatencyRow, latencies, latency, latency_pair
from secateurs.cost._report import cost
from secateurs.cost._training import TrainingCost, training_cost

__all__ = [
    "Latency",
    "LatencyPair",
    "LatencyRow",
    "TrainingCost",
    "cost",
    "design_gops",
    "latencies",
    "latency",
    "latency_pair",
    "training_cost",
]
