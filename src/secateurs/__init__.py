"""Secateurs cuts trained PyTorch networks down to what they need, and proves that the cut is right."""

from secateurs._errors import SecateursError
from secateurs._version import __version__
from secateurs.graph import Axis, Cost, Graph, Plan, trace

__all__ = ["Axis", "Cost", "Graph", "Plan", "SecateursError", "__version__", "trace"]
