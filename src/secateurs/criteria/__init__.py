"""Which units matter: criteria, their scores, and criteria by name."""

from secateurs.criteria._contribution import Contribution
from secateurs.criteria._criterion import Criterion, Loss, check_graph
from secateurs.criteria._edge_popup import EdgePopup
from secateurs.criteria._magnitude import Magnitude
from secateurs.criteria._random import Random
from secateurs.criteria._registry import build, names, register
from secateurs.criteria._scores import Scores
from secateurs.criteria._unit_mem import Memorisation, UnitMem

__all__ = [
    "Contribution",
    "Criterion",
    "EdgePopup",
    "Loss",
    "Magnitude",
    "Memorisation",
    "Random",
    "Scores",
    "UnitMem",
    "build",
    "check_graph",
    "names",
    "register",
]
