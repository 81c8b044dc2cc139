"""The cut: plans carried out, proved, saved and loaded."""

from secateurs.graph import tensors_in
from secateurs.surgery._apply import Report, Result, apply
from secateurs.surgery._difference import relative_error
from secateurs.surgery._files import load, save
from secateurs.surgery._fill import fill_random
from secateurs.surgery._head import kept_outputs, slice_outputs, sliced_outputs
from secateurs.surgery._lineage import Lineage, lineage
from secateurs.surgery._masked import masked
from secateurs.surgery._prune import prune
from secateurs.surgery._verify import Proof

__all__ = [
    "Lineage",
    "Proof",
    "Report",
    "Result",
    "apply",
    "fill_random",
    "kept_outputs",
    "lineage",
    "load",
    "masked",
    "prune",
    "relative_error",
    "save",
    "slice_outputs",
    "sliced_outputs",
    "tensors_in",
]
