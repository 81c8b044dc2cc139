"""How many units go, and from where: from scores to a plan."""

from secateurs.selection._alone import Own, units_alone
from secateurs.selection._budget import Budget
from secateurs.selection._count import CountChoice, CountOptions, units_by_count
from secateurs.selection._each import each_axis
from secateurs.selection._floors import GroupFloors, group_floors
from secateurs.selection._levels import removals, sparsities
from secateurs.selection._reachable import Reach, reachable
from secateurs.selection._select import select

__all__ = [
    "Budget",
    "CountChoice",
    "CountOptions",
    "GroupFloors",
    "Own",
    "Reach",
    "each_axis",
    "group_floors",
    "reachable",
    "removals",
    "select",
    "sparsities",
    "units_alone",
    "units_by_count",
]
