"""Secateurs cuts trained PyTorch networks down to what they need, and proves that the cut is right."""

from secateurs._errors import SecateursError
from secateurs._version import __version__

__all__ = ["SecateursError", "__version__"]
