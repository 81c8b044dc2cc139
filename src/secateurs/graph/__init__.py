"""What may be cut: the traced graph, its axes, its cost under any plan, and plans."""

from secateurs.graph._arguments import arguments_of
from secateurs.graph._axes import Axis, Fixed, Kind, Member
from secateurs.graph._cost import Cost
from secateurs.graph._coupling import Coupling
from secateurs.graph._graph import Graph
from secateurs.graph._inputs import rebuild_inputs
from secateurs.graph._mode import LabelMode
from secateurs.graph._outputs import Outputs, handed_on, tensors_in
from secateurs.graph._plan import Cut, Edit, Plan, Renumber, Scatter
from secateurs.graph._structure import map_tensors
from secateurs.graph._tensors import convert, module_at, plain_tensors, tensors_of
from secateurs.graph._trace import free_attention, masked_run, trace
from secateurs.graph._untouched import untouched
from secateurs.graph._wrappers import readable, unwrapped

__all__ = [
    "Axis",
    "Cost",
    "Coupling",
    "Cut",
    "Edit",
    "Fixed",
    "Graph",
    "Kind",
    "LabelMode",
    "Member",
    "Outputs",
    "Plan",
    "Renumber",
    "Scatter",
    "arguments_of",
    "convert",
    "free_attention",
    "handed_on",
    "map_tensors",
    "masked_run",
    "module_at",
    "plain_tensors",
    "readable",
    "rebuild_inputs",
    "tensors_in",
    "tensors_of",
    "trace",
    "untouched",
    "unwrapped",
]
