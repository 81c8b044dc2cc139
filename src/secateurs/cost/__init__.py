"""What a model costs: counted by `cost`, measured by `latency`."""

from secateurs.cost._latency import Latency, LatencyPair, LatencyRow, latency, latency_pair
from secateurs.cost._report import cost

__all__ = ["Latency", "LatencyPair", "LatencyRow", "cost", "latency", "latency_pair"]
