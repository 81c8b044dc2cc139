"""Filters that stay make up for those that go (Optimal Brain Surgeon), before anything is cut."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs.graph import Plan
from secateurs.statistics import DAMPING, Factors, Layer, groups_of, inverse, layers_of
from secateurs.surgery import copy_model

__all__ = ["compensated"]


def compensated(
    model: nn.Module,
    plan: Plan,
    factors: Mapping[str, Factors],
    *,
    by: Literal["filters", "weights"] = "filters",
    damping: float = DAMPING,
) -> nn.Module:
    """A copy of the model whose layers are ready for a plan: `apply` it to this copy.

    Of each layer that loses filters R, those that stay change by

        by="filters":  dW = -(S^-1)_KR ((S^-1)_RR)^-1 W_R      the least growth of the loss once all of R are zero; for
                                                               one filter the -S^-1 e_i w_i / (S^-1)_ii of Kron-OBS
        by="weights":  dW = -(S^-1 C A^-1)_K, C_ij = w_ij / ((S^-1)_ii (A^-1)_jj) for i in R, else 0     C-OBS

    Biases change with their filters by the first, not by the second. Groups of a grouped convolution are looked at one
    by one. What is before and behind the layers stays.

    Source: Wang et al., EigenDamage: Structured Pruning in the Kronecker-Factored Eigenbasis, 2019; all filters at once
    in place of the sum over single ones.

    Args:
        plan: made for this model. Only rows of convolution and linear modules are looked at.
        factors: of this model, as `kronecker_factors` measures them; layers without are left as they are.
        damping: on the factors' diagonals before they are inverted, times their mean eigenvalues.

    Raises:
        PlanError: an unknown word, or a plan that was made for another model.
    """
    if by not in ("filters", "weights"):
        raise PlanError("compensated, by", wanted="'filters' or 'weights'", got=repr(by), cure="Take one of these.")
    made = copy_model(model)
    layers = layers_of(made)
    with torch.no_grad():
        for cut in plan.cuts:
            path, _, name = cut.path.rpartition(".")
            if name != "weight" or cut.dim != 0 or path not in layers or path not in factors:
                continue
            if cut.size != len(layers[path].weight):
                got, cure = f"{len(layers[path].weight)}", "Take the model that the plan was made for."
                raise PlanError(cut.path, wanted=f"{cut.size} outputs", got=got, cure=cure)
            _compensate(layers[path], factors[path], cut.removed, by, damping)
    return made


def _compensate(layer: Layer, factors: Factors, removed: tuple[int, ...], by: str, damping: float) -> None:
    groups, size = groups_of(layer), len(layer.weight) // groups_of(layer)
    gone = torch.zeros(len(layer.weight), dtype=torch.bool, device=layer.weight.device)
    gone[list(removed)] = True
    for group in range(groups):
        rows = slice(group * size, (group + 1) * size)
        if not gone[rows].any() or gone[rows].all():
            continue
        outputs = inverse(factors.outputs[rows, rows], damping)
        weight = layer.weight[rows].double().flatten(1)
        if by == "weights":
            change = _by_weights(weight, gone[rows], outputs, factors.inputs[group], damping)
        else:
            bias = None if layer.bias is None else layer.bias[rows].double()
            both = weight if bias is None else torch.cat([weight, bias[:, None]], 1)
            change = _by_filters(both, gone[rows], outputs)
            if layer.bias is not None:
                layer.bias[rows] += change[:, -1].to(layer.bias)
                change = change[:, :-1]
        layer.weight[rows] += change.reshape(layer.weight[rows].shape).to(layer.weight)


def _by_filters(weight: Tensor, gone: Tensor, outputs: Tensor) -> Tensor:
    """Zero in the rows that go."""
    change = torch.zeros_like(weight)
    solved = torch.linalg.solve(outputs[gone][:, gone], weight[gone])
    change[~gone] = -outputs[~gone][:, gone] @ solved
    return change


def _by_weights(weight: Tensor, gone: Tensor, outputs: Tensor, moments: Tensor, damping: float) -> Tensor:
    """Zero in the rows that go; channels' factors are applied at every kernel offset."""
    inputs = inverse(moments, damping)
    read = weight.reshape(len(weight), len(inputs), -1)
    parts = read / (outputs.diagonal()[:, None, None] * inputs.diagonal()[None, :, None])
    parts[~gone] = 0
    change = -torch.einsum("or,rik,ij->ojk", outputs, parts, inputs)
    change[gone] = 0
    return change.reshape(weight.shape)
