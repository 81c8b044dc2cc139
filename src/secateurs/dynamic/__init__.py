"""Networks that take a way of their own through each image: gates that skip residual blocks."""

from secateurs.dynamic._blocks import Block, find_blocks
from secateurs.dynamic._cost import GatedCost, gated_cost
from secateurs.dynamic._gating import GATES, Gating, gate, gates_of
from secateurs.dynamic._heads import HEADS, HeadKind
from secateurs.dynamic._objectives import Baseline, Reinforce, Supervised
from secateurs.dynamic._policies import Given, Sampled, Soft, Thresholded, Watched
from secateurs.dynamic._route import Policy, computing_all, deciding
from secateurs.dynamic._routes import Routes, routes

__all__ = [
    "GATES",
    "HEADS",
    "Baseline",
    "Block",
    "GatedCost",
    "Gating",
    "Given",
    "HeadKind",
    "Policy",
    "Reinforce",
    "Routes",
    "Sampled",
    "Soft",
    "Supervised",
    "Thresholded",
    "Watched",
    "computing_all",
    "deciding",
    "find_blocks",
    "gate",
    "gated_cost",
    "gates_of",
    "routes",
]
