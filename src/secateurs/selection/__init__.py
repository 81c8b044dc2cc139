"""How many units go, and from where: from scores to a plan."""

from secateurs.selection._select import select

__all__ = ["select"]
