"""The second oracle: zeros in the dense weights wherever a plan leaves a position out."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from benchmarks.libraries import Call
from secateurs.graph import Graph, Plan, untouched
from secateurs.graph.model._outputs import handed_on
from secateurs.surgery import apply, relative_error

__all__ = ["Zeroes", "against_zeroes", "inexact_axes"]

_EXACT, _SINGLE = 1e-9, 1e-4


@dataclass(frozen=True, kw_only=True)
class Zeroes:
    """How a cut compares with zeros.

    Attributes:
        error: largest relative difference of the outputs.
        tolerance: the largest accepted: 1e-9 in float64, that of the proof where the model computes in less, 1e-4 where
            its code insists on float32.
        reaction: how much the zeros change the outputs.
    """

    error: float
    tolerance: float
    reaction: float

    @property
    def holds(self) -> bool:
        """Both agree, and could have differed."""
        return self.error < self.tolerance < self.reaction


def inexact_axes(graph: Graph) -> list[str]:
    """Axes of which zeros say nothing: normalisations run over them."""
    return [axis.name for axis in graph.axes if not axis.exact]


def against_zeroes(model: nn.Module, call: Call, plan: Plan, floor: float = 0.0) -> Zeroes:
    """Compare copies, in float64 where the model runs so; `floor` is the rounding of a model that computes in less."""
    wide = copy.deepcopy(model).double()
    args, kwargs = tree_map_only(Tensor, lambda t: t.double() if t.is_floating_point() else t, call)
    try:
        dense, tolerance = _outputs(wide, (args, kwargs)), _EXACT
    except RuntimeError:  # code that makes tensors of its own type, or calls what float64 does not have
        wide, (args, kwargs) = copy.deepcopy(model), call
        dense, tolerance = _outputs(wide, call), _SINGLE
    got = _outputs(apply(wide, plan, verify=False).model, (args, kwargs))
    expected = _outputs(_zeroed(wide, plan), (args, kwargs))
    reaction = relative_error(dense, expected)
    return Zeroes(error=relative_error(expected, got), tolerance=max(tolerance, floor), reaction=reaction)


def _outputs(model: nn.Module, call: Call) -> list[Tensor]:
    """What the model promises to return; caches shrink with a model."""
    with untouched(model), torch.no_grad(), handed_on() as state:
        return list(state.sort(model(*call[0], **call[1])).promised)


def _zeroed(model: nn.Module, plan: Plan) -> nn.Module:
    """Zeros wherever `plan.kept` leaves a position out; changes `model`."""
    with torch.no_grad():
        for path, tensor in (*model.named_parameters(), *model.named_buffers()):
            for dim, kept in enumerate(plan.kept(path)) if tensor.is_floating_point() else ():
                gone = torch.ones(tensor.shape[dim], dtype=torch.bool).index_fill_(0, kept, False)
                if gone.any():
                    tensor.index_fill_(dim, gone.nonzero().squeeze(1), 0)
    return model
