"""What is measured: streamed moments of what layers read and give, and Kronecker factors of the Fisher matrix."""

from secateurs.statistics._batches import Batch, first_image, images_in, read_batches
from secateurs.statistics._factors import Factors, damped, kronecker_factors
from secateurs.statistics._inverse import DAMPING, inverse
from secateurs.statistics._layers import Layer, groups_of, kernel_of, layers_of
from secateurs.statistics._options import FactorOptions
from secateurs.statistics._patches import coverage, patches, rows_of, spread
from secateurs.statistics._second_moments import SecondMoments
from secateurs.statistics._squares import squared_gradients
from secateurs.statistics._stream import Watch, stream
from secateurs.statistics._windows import Window, pieces_of

__all__ = [
    "DAMPING",
    "Batch",
    "FactorOptions",
    "Factors",
    "Layer",
    "SecondMoments",
    "Watch",
    "Window",
    "coverage",
    "damped",
    "first_image",
    "groups_of",
    "images_in",
    "inverse",
    "kernel_of",
    "kronecker_factors",
    "layers_of",
    "patches",
    "pieces_of",
    "read_batches",
    "rows_of",
    "spread",
    "squared_gradients",
    "stream",
]
