"""What the criteria with Kronecker factors share: which rows of which layers make a unit."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from secateurs._errors import PlanError
from secateurs.criteria._criterion import Loss
from secateurs.graph import Graph
from secateurs.statistics import FactorOptions, Factors, Layer, groups_of, kronecker_factors, layers_of

__all__ = ["factors_of", "makers_of", "row_energy", "rows_to_units"]


def makers_of(graph: Graph, who: str) -> Mapping[str, Layer]:
    """The layers that make units, by the paths of their modules.

    Raises:
        PlanError: an axis that no convolution or linear map makes.
    """
    layers = layers_of(graph.model)
    wanted: dict[str, Layer] = {}
    for axis in graph.axes:
        made = {member.path.rpartition(".")[0] for member in axis.members if member.role == "produces"}
        own = [path for path in layers if path in made]
        if not own:
            names = ", ".join(sorted(made)) or "nothing"
            cure = "Take another criterion for this model, or protect the axis and score without it."
            wanted_layers = "convolution or linear modules that make its units"
            raise PlanError(f"{who}, axis {axis.name!r}", wanted=wanted_layers, got=names, cure=cure)
        wanted |= {path: layers[path] for path in own}
    return wanted


def factors_of(
    graph: Graph, batches: Iterable[Any] | None, loss: Loss | None, options: FactorOptions, who: str
) -> dict[str, Factors]:
    """Of all layers that make units.

    Raises:
        PlanError: a layer that the batches do not reach.
    """
    layers = makers_of(graph, who)
    found = kronecker_factors(graph.model, batches, options=options, loss=loss, layers=layers)
    for path in layers:
        if path not in found:
            cure = "Its module is not called, or nothing that is learned depends on it; take another criterion."
            raise PlanError(f"{who}, {path}", wanted="inputs and gradients of the layer", got="none", cure=cure)
    return found


def rows_to_units(graph: Graph, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scores of output rows, by layer, summed up over the rows that go with each unit."""
    scores = {}
    for axis in graph.axes:
        total = torch.zeros(axis.size, dtype=torch.float64)
        for member in axis.members:
            found = rows.get(member.path.rpartition(".")[0])
            if member.role == "produces" and member.dim == 0 and found is not None:
                total.index_add_(
                    0, torch.from_numpy(member.units), found.double().cpu()[torch.from_numpy(member.positions)]
                )
        scores[axis.name] = total
    return scores


def row_energy(layer: Layer, factors: Factors) -> Tensor:
    """w' A w of every output row [o], its bias among the weights with an input of 1; for a factor of channels, the sum
    over kernel offsets."""
    groups = groups_of(layer)
    moments, mean = factors.inputs.double(), factors.mean.double()
    weight = layer.weight.detach().double().reshape(groups, len(layer.weight) // groups, moments.shape[-1], -1)
    if moments.shape[-1] == layer.weight[0].numel():
        weight = weight.flatten(2)[..., None]
    energy = torch.einsum("gock,gcd,godk->go", weight, moments, weight).flatten()
    if layer.bias is not None:
        bias = layer.bias.detach().double()
        energy = energy + 2 * bias * torch.einsum("gock,gc->go", weight, mean).flatten() + bias.square()
    return energy.clamp(min=0)
