"""What may be cut: the traced graph, its axes, its cost under any plan, and plans."""

from secateurs.graph._activations import Activation, Family, family_in, from_data, is_positive, weight_and_data
from secateurs.graph._axes import Axis, Fixed, Kind, Member
from secateurs.graph._cost import Cost, Operations
from secateurs.graph._graph import Graph
from secateurs.graph._mode import LabelMode
from secateurs.graph._outline import OUTLINE_FILE, outline, outline_of_cut
from secateurs.graph._plan import Cut, Edit, Plan, Renumber, Scatter
from secateurs.graph._trace import free_attention, masked_run, trace
from secateurs.graph._wholes import WHOLES
from secateurs.graph.model._arguments import arguments_of
from secateurs.graph.model._inputs import rebuild_inputs
from secateurs.graph.model._look import Look, look
from secateurs.graph.model._outputs import Outputs, handed_on, tensors_in
from secateurs.graph.model._resize import batch_in, resized
from secateurs.graph.model._structure import map_tensors
from secateurs.graph.model._tensors import convert, module_at, plain_tensors, tensors_of
from secateurs.graph.model._untouched import untouched
from secateurs.graph.model._wrappers import readable, unwrapped
from secateurs.graph.sizes._coupling import Coupling

__all__ = [
    "OUTLINE_FILE",
    "WHOLES",
    "Activation",
    "Axis",
    "Cost",
    "Coupling",
    "Cut",
    "Edit",
    "Family",
    "Fixed",
    "Graph",
    "Kind",
    "LabelMode",
    "Look",
    "Member",
    "Operations",
    "Outputs",
    "Plan",
    "Renumber",
    "Scatter",
    "arguments_of",
    "batch_in",
    "convert",
    "family_in",
    "free_attention",
    "from_data",
    "handed_on",
    "is_positive",
    "look",
    "map_tensors",
    "masked_run",
    "module_at",
    "outline",
    "outline_of_cut",
    "plain_tensors",
    "readable",
    "rebuild_inputs",
    "resized",
    "tensors_in",
    "tensors_of",
    "trace",
    "untouched",
    "unwrapped",
    "weight_and_data",
]
