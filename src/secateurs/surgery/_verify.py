"""Verification: the cut model must compute what the masked dense model computes."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from secateurs._errors import VerifyError
from secateurs.graph import Graph, Plan, masked_run, tensors_in, untouched
from secateurs.surgery._cut import copy_model, cut_model

__all__ = ["Proof", "fill_random", "relative_error", "verify"]

_EXACT = 1e-9
"""Largest relative error in float64; rounding alone gives about 1e-14."""
_LARGEST = 0.05
"""No tolerance is wider, however coarsely a model computes: with a wider one anything would pass."""
_FLOOR_FACTOR = 10.0
"""How far above the measured rounding of a model that computes in lower precision an error may lie."""

_FILLS = 5
"""How often weights are filled at random before outputs count as independent of the cut (a ReLU may be dead)."""

Example = tuple[tuple[Any, ...], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Outcome of a verification.

    Attributes:
        error: largest relative difference between the cut model's and the masked dense model's outputs.
        tolerance: the largest error accepted.
        precision: floating type that the comparison ran in.
        random_weights: whether weights had to be filled at random because the output ignored the cut.
        reacts: whether the outputs then depended on what was cut; if not, the proof could not have failed.
    """

    error: float
    tolerance: float
    precision: str
    random_weights: bool
    reacts: bool


def verify(dense: nn.Module, cut: nn.Module, plan: Plan, graph: Graph, example: Example) -> Proof:
    """Compare copies of both models in float64 on an example.

    A proof must be able to fail: where the outputs do not react to the cut (branches scaled by zero, constant
    tables), both are compared again with all weights filled at random. Outputs that ignore it even then are said.

    Raises:
        VerifyError: the outputs differ by more than the tolerance, or the cut model does not run.
    """
    dense64, cut64 = _double(dense), _double(cut)
    proof = _compare(dense64, cut64, plan, graph, example, random_weights=False)
    for seed in range(_FILLS if plan.cuts else 0):
        if proof.reacts:
            break
        fill_random(dense64, seed=seed)
        cut64 = copy.deepcopy(dense64)
        cut_model(cut64, plan)
        proof = _compare(dense64, cut64, plan, graph, example, random_weights=True)
    return proof


def _compare(
    dense: nn.Module, cut: nn.Module, plan: Plan, graph: Graph, example: Example, *, random_weights: bool
) -> Proof:
    args, kwargs = tree_map_only(Tensor, _widen, example)
    with masked_run(dense, graph, plan.removed) as mode:
        expected = list(tensors_in(dense(*args, **kwargs)))
    with untouched(dense):
        before = list(tensors_in(dense(*args, **kwargs)))
    got = _run_cut(cut, args, kwargs)
    types = {dtype for dtype in mode.dtypes if dtype.is_floating_point}
    tolerance, precision = _EXACT, "float64"
    if types - {torch.float64}:
        with masked_run(dense, graph, plan.removed):
            nudged = list(tensors_in(dense(*tree_map_only(Tensor, _nudge, args), **kwargs)))
        lowest = max(types, key=lambda dtype: torch.finfo(dtype).eps)
        floor = max(relative_error(expected, nudged), torch.finfo(lowest).eps)
        tolerance = min(_FLOOR_FACTOR * floor, _LARGEST)
        precision = str(lowest).removeprefix("torch.")
    error = relative_error(expected, got)
    if not error <= tolerance:
        raise VerifyError(
            "the cut model",
            wanted=f"the masked dense model's outputs within {tolerance:.1e}",
            got=f"a relative difference of {error:.1e}",
            cure="Please report this model; the dense model is unchanged.",
        )
    reacts = relative_error(before, expected) > tolerance
    return Proof(error=error, tolerance=tolerance, precision=precision, random_weights=random_weights, reacts=reacts)


def _run_cut(cut: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    try:
        with untouched(cut):
            return list(tensors_in(cut(*args, **kwargs)))
    except Exception as error:  # the model is the user's, and may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise VerifyError(
            "the cut model",
            wanted="a model that runs on the example",
            got=f"{type(error).__name__}: {reason}",
            cure="Its code uses a size that the cut changes; protect the axis. The dense model is unchanged.",
        ) from error


def relative_error(expected: list[Tensor], got: list[Tensor]) -> float:
    """Largest |expected - got| over largest |expected|, over all outputs; infinite where shapes differ."""
    if len(expected) != len(got) or any(a.shape != b.shape for a, b in zip(expected, got, strict=True)):
        return float("inf")
    worst = 0.0
    for a, b in zip(expected, got, strict=True):
        if a.numel() == 0:
            continue
        a, b = _real(a), _real(b)
        if not torch.equal(a.isfinite(), b.isfinite()):
            return float("inf")
        difference = (a - b).abs().nan_to_num(0.0, 0.0, 0.0).max().item()
        scale = a.abs().nan_to_num(0.0, 0.0, 0.0).max().item()
        worst = max(worst, difference / scale if scale > 0 else difference)
    return worst


def _real(tensor: Tensor) -> Tensor:
    return (torch.view_as_real(tensor) if tensor.is_complex() else tensor).to(torch.float64)


def fill_random(model: nn.Module, *, seed: int) -> None:
    """Fill every floating parameter and buffer with random values, such that signals get through many layers.

    Weights keep the size of what passes a ReLU, scales of norms lie around 1, variances are positive; with larger
    biases and means the first layers of a deep network would hardly change its outputs.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.is_floating_point():
                values = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(_of_moderate_size(values, name))


def _of_moderate_size(values: Tensor, name: str) -> Tensor:
    if values.dim() > 1:
        return values * math.sqrt(2 / max(1, values[0].numel()))
    if name.endswith("var"):
        return values.abs() + 0.5
    return 1 + 0.3 * values if name.endswith("weight") else 0.2 * values


def _double(model: nn.Module) -> nn.Module:
    return copy_model(model).double()


def _widen(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _nudge(tensor: Tensor) -> Tensor:
    """Inputs moved by one rounding of float32, to see how the model amplifies it."""
    return tensor * (1 + torch.finfo(torch.float32).eps) if tensor.is_floating_point() else tensor
