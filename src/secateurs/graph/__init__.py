"""What may be cut: the traced graph, its axes, its cost under any plan, and plans."""

from secateurs.graph._axes import Axis, Fixed, Kind, Member
from secateurs.graph._cost import Cost
from secateurs.graph._graph import Graph
from secateurs.graph._inputs import rebuild_inputs
from secateurs.graph._outputs import tensors_in
from secateurs.graph._plan import Cut, Edit, Plan, Renumber
from secateurs.graph._trace import free_attention, masked_run, trace
from secateurs.graph._untouched import untouched

__all__ = [
    "Axis",
    "Cost",
    "Cut",
    "Edit",
    "Fixed",
    "Graph",
    "Kind",
    "Member",
    "Plan",
    "Renumber",
    "free_attention",
    "masked_run",
    "rebuild_inputs",
    "tensors_in",
    "trace",
    "untouched",
]
