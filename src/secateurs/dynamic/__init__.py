"""Networks that take a way of their own through each image: gates that skip residual blocks."""

from secateurs.dynamic._blocks import Block, find_blocks
from secateurs.dynamic._gating import GATES, Gating, gate, gates_of
from secateurs.dynamic._heads import HEADS, HeadKind
from secateurs.dynamic._policies import Given, Sampled, Soft, Thresholded, Watched
from secateurs.dynamic._route import Policy, computing_all, deciding

__all__ = [
    "GATES",
    "HEADS",
    "Block",
    "Gating",
    "Given",
    "HeadKind",
    "Policy",
    "Sampled",
    "Soft",
    "Thresholded",
    "Watched",
    "computing_all",
    "deciding",
    "find_blocks",
    "gate",
    "gates_of",
]
