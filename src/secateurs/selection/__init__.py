"""How many units go, and from where: from scores to a plan."""

from secateurs.selection._alone import Own, units_alone
from secateurs.selection._budget import Budget
from secateurs.selection._cost_order import Per
from secateurs.selection._count import CountChoice, CountOptions, units_by_count
from secateurs.selection._each import each_axis
from secateurs.selection._floors import GroupFloors, group_floors
from secateurs.selection._levels import removals, sparsities
from secateurs.selection._measured import Measured, MeasuredChoice, Probing, select_measured
from secateurs.selection._reachable import Reach, reachable
from secateurs.selection._schedules import Schedule, cut_ratios, still_to_remove
from secateurs.selection._select import select
from secateurs.selection._taking_part import taking_part

__all__ = [
    "Budget",
    "CountChoice",
    "CountOptions",
    "GroupFloors",
    "Measured",
    "MeasuredChoice",
    "Own",
    "Per",
    "Probing",
    "Reach",
    "Schedule",
    "cut_ratios",
    "each_axis",
    "group_floors",
    "reachable",
    "removals",
    "select",
    "select_measured",
    "sparsities",
    "still_to_remove",
    "taking_part",
    "units_alone",
    "units_by_count",
]
