"""Config files of earlier systems, turned into recipes."""

from secateurs.convert._conversion import Conversion, Note
from secateurs.convert._convert import convert

__all__ = ["Conversion", "Note", "convert"]
