"""How many units go, and from where: from scores to a plan."""

from secateurs.selection._each import each_axis
from secateurs.selection._select import select

__all__ = ["each_axis", "select"]
