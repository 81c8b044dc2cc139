"""Rotate, then cut: bottlenecks in the eigenbasis of the Fisher matrix's Kronecker factors."""

from secateurs.eigen._bottleneck import Bottleneck, Widths
from secateurs.eigen._change import Rotation
from secateurs.eigen._compensate import compensated
from secateurs.eigen._directions import Directions
from secateurs.eigen._options import EigenOptions
from secateurs.eigen._rotate import directions_of, rotate, rotate_and_prove
from secateurs.statistics import FactorOptions

__all__ = [
    "Bottleneck",
    "Directions",
    "EigenOptions",
    "FactorOptions",
    "Rotation",
    "Widths",
    "compensated",
    "directions_of",
    "rotate",
    "rotate_and_prove",
]
