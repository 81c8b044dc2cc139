"""The cut: plans carried out, proved, saved and loaded."""

from secateurs.graph import tensors_in
from secateurs.surgery._apply import Report, Result, apply
from secateurs.surgery._files import load, save
from secateurs.surgery._masked import masked
from secateurs.surgery._prune import prune
from secateurs.surgery._verify import Proof, fill_random, relative_error

__all__ = [
    "Proof",
    "Report",
    "Result",
    "apply",
    "fill_random",
    "load",
    "masked",
    "prune",
    "relative_error",
    "save",
    "tensors_in",
]
