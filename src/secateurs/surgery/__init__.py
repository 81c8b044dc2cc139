"""The cut: plans carried out, proved, saved and loaded."""

from secateurs.graph import tensors_in
from secateurs.surgery._apply import Report, Result, apply
from secateurs.surgery._changes import Change, history, plans_of, record, register_change
from secateurs.surgery._cut import copy_model
from secateurs.surgery._difference import relative_error
from secateurs.surgery._files import load, save
from secateurs.surgery._fill import fill_random
from secateurs.surgery._head import kept_outputs, slice_outputs, sliced_outputs
from secateurs.surgery._kept_inputs import kept_inputs
from secateurs.surgery._lineage import Lineage, lineage
from secateurs.surgery._masked import masked
from secateurs.surgery._prune import prune
from secateurs.surgery._repair import repair
from secateurs.surgery._repair_options import RepairOptions
from secateurs.surgery._repair_report import Repaired, RepairReport
from secateurs.surgery._timed import LatencyOptions, latency_removed
from secateurs.surgery._verify import Proof

__all__ = [
    "Change",
    "LatencyOptions",
    "Lineage",
    "Proof",
    "RepairOptions",
    "RepairReport",
    "Repaired",
    "Report",
    "Result",
    "apply",
    "copy_model",
    "fill_random",
    "history",
    "kept_inputs",
    "kept_outputs",
    "latency_removed",
    "lineage",
    "load",
    "masked",
    "plans_of",
    "prune",
    "record",
    "register_change",
    "relative_error",
    "repair",
    "save",
    "slice_outputs",
    "sliced_outputs",
    "tensors_in",
]
