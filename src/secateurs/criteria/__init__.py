"""Which units matter: criteria, their scores, and criteria by name."""

from secateurs.criteria._activation_mean import ActivationMean
from secateurs.criteria._activation_norm import ActivationNorm
from secateurs.criteria._apoz import APoZ
from secateurs.criteria._average import Average
from secateurs.criteria._bn_scale import BNScale, norm_scales
from secateurs.criteria._c_obd import COBD
from secateurs.criteria._c_obs import COBS
from secateurs.criteria._combination import score_together
from secateurs.criteria._contribution import Contribution
from secateurs.criteria._criterion import Criterion, Loss, check_graph
from secateurs.criteria._directed import Directed
from secateurs.criteria._edge_popup import EdgePopup
from secateurs.criteria._fisher import Fisher
from secateurs.criteria._geometric_median import GeometricMedian
from secateurs.criteria._grasp import GraSP
from secateurs.criteria._hrank import HRank
from secateurs.criteria._kron_obd import KronOBD
from secateurs.criteria._kron_obs import KronOBS
from secateurs.criteria._lamp import LAMP
from secateurs.criteria._magnitude import Magnitude
from secateurs.criteria._mean_magnitude import MeanMagnitude
from secateurs.criteria._normalized import Normalized
from secateurs.criteria._product import Product
from secateurs.criteria._random import Random
from secateurs.criteria._reconstruction import Reconstruction
from secateurs.criteria._registry import build, names, register
from secateurs.criteria._scores import Scores
from secateurs.criteria._snip import SNIP
from secateurs.criteria._synflow import SynFlow
from secateurs.criteria._taylor import Taylor
from secateurs.criteria._unit_mem import Memorisation, UnitMem

__all__ = [
    "COBD",
    "COBS",
    "LAMP",
    "SNIP",
    "APoZ",
    "ActivationMean",
    "ActivationNorm",
    "Average",
    "BNScale",
    "Contribution",
    "Criterion",
    "Directed",
    "EdgePopup",
    "Fisher",
    "GeometricMedian",
    "GraSP",
    "HRank",
    "KronOBD",
    "KronOBS",
    "Loss",
    "Magnitude",
    "MeanMagnitude",
    "Memorisation",
    "Normalized",
    "Product",
    "Random",
    "Reconstruction",
    "Scores",
    "SynFlow",
    "Taylor",
    "UnitMem",
    "build",
    "check_graph",
    "names",
    "norm_scales",
    "register",
    "score_together",
]
