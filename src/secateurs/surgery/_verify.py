"""Verification: the cut model must compute what the masked dense model computes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from secateurs._errors import VerifyError
from secateurs.graph import Graph, Outputs, Plan
from secateurs.surgery._difference import relative_errors
from secateurs.surgery._memory import free_bytes
from secateurs.surgery._runs import Example, Runs

__all__ = ["Proof", "verify"]

_EXACT = 1e-9
"""Largest relative error in float64; rounding alone gives about 1e-14."""
_LARGEST = 0.05
"""No tolerance is wider, however coarsely a model computes: with a wider one anything would pass."""
_FLOOR_FACTOR = 10.0
"""How far above the measured rounding of a model that computes in lower precision an error may lie."""
_FILLS = 5
"""How often weights are filled at random before outputs count as independent of the cut (a ReLU may be dead)."""
_NUDGES = 3
"""How often all numbers are nudged: once may by chance change nothing."""
_HEADROOM = 1.5
"""Memory for copies in float64, over their own size: activations need some too."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Outcome of a verification.

    Attributes:
        error: largest relative difference between the cut model's and the masked dense model's outputs.
        tolerance: the largest error accepted.
        precision: the coarsest floating type that the comparison ran in.
        random_weights: whether weights had to be filled at random because the output ignored the cut.
        reacts: whether the outputs then depended on what was cut; if not, the proof could not have failed.
    """

    error: float
    tolerance: float
    precision: str
    random_weights: bool
    reacts: bool


def verify(dense: nn.Module, cut: nn.Module, plan: Plan, graph: Graph, example: Example) -> Proof:
    """Compare both models on an example, in copies in float64.

    Where memory does not allow for the copies, or the model's code insists on another type, the models themselves
    run. Where float64 is not what everything is computed in, errors up to ten times the rounding of the coarsest
    type are accepted, or ten times what a nudge of that size to all numbers changes, but at most 5 %.

    A proof must be able to fail: where the outputs do not react to the cut (branches scaled by zero, constant
    tables), both are compared again with all weights filled at random. Outputs that ignore it even then are said.

    Raises:
        VerifyError: the outputs differ by more than the tolerance, or a model does not run.
    """
    runs, before = _start(Runs(dense=dense, cut=cut, plan=plan, graph=graph, example=example))
    proof = _compare(runs, before, random_weights=False)
    for seed in range(_FILLS if plan.cuts else 0):
        if proof.reacts:
            break
        filled = runs.filled(seed)
        proof = _compare(filled, filled.of_dense(), random_weights=True)
    return proof


def _start(runs: Runs) -> tuple[Runs, Outputs]:
    """The most precise runs that can be had, and the dense model's outputs in them."""
    if _fits(runs.dense, runs.cut):
        wide = runs.widened()
        try:
            return wide, wide.of_dense()
        except VerifyError:
            pass  # code that insists on a type, or more memory than there is: the model itself says which
    return runs, runs.of_dense()


def _fits(dense: nn.Module, cut: nn.Module) -> bool:
    tensors = [tensor for model in (dense, cut) for tensor in (*model.parameters(), *model.buffers())]
    needed: dict[torch.device, float] = {}
    for tensor in tensors:
        needed[tensor.device] = needed.get(tensor.device, 0.0) + _HEADROOM * 8 * tensor.numel()
    return all(size <= free_bytes(device) for device, size in needed.items())


def _compare(runs: Runs, before: Outputs, *, random_weights: bool) -> Proof:
    expected, types = runs.of_masked()
    got = runs.of_cut()
    coarsest = max(types, key=lambda dtype: torch.finfo(dtype).eps, default=torch.float64)
    limit = min(max(_EXACT, _FLOOR_FACTOR * torch.finfo(coarsest).eps), _LARGEST)
    errors = relative_errors(_all(expected), _all(got))
    limits = [limit for _ in errors]
    if not _within(errors, limits):
        limits = _measured(runs, expected, coarsest, limits)
    if not _within(errors, limits):
        _refuse(errors, limits)
    judged = [i for i, limit in enumerate(limits) if limit < float("inf")]
    changes = relative_errors(expected.promised, before.promised)
    return Proof(
        error=max((errors[i] for i in judged), default=0.0),
        tolerance=max((limits[i] for i in judged), default=limit),
        precision=str(coarsest).removeprefix("torch."),
        random_weights=random_weights,
        reacts=any(not change <= limit for change, limit in zip(changes, limits, strict=False) if limit < float("inf")),
    )


def _all(outputs: Outputs) -> Sequence[Tensor]:
    return (*outputs.promised, *outputs.internal)


def _within(errors: Sequence[float], limits: Sequence[float]) -> bool:
    return len(errors) == len(limits) and all(error <= limit for error, limit in zip(errors, limits, strict=True))


def _measured(runs: Runs, expected: Outputs, coarsest: torch.dtype, limits: Sequence[float]) -> list[float]:
    """The largest error accepted per output: more where the model amplifies rounding.

    In float64 an output that a nudge of the last bit moves by more than 5 % is nothing but rounding (the mean of what
    was centred before): it proves nothing and is not judged.
    """
    found = []
    for seed in range(_NUDGES):
        nudged, _ = runs.nudged(torch.finfo(coarsest).eps, seed).of_masked()
        found.append(relative_errors(_all(expected), _all(nudged)))
    floors = [max(column) for column in zip(*found, strict=False)]
    if len(floors) != len(limits):
        return list(limits)
    noise = float("inf") if coarsest == torch.float64 else _LARGEST
    return [
        noise if floor > _LARGEST else max(limit, min(_FLOOR_FACTOR * floor, _LARGEST))
        for floor, limit in zip(floors, limits, strict=True)
    ]


def _refuse(errors: Sequence[float], limits: Sequence[float]) -> None:
    worst = max(range(len(errors)), key=lambda i: errors[i] / limits[i] if i < len(limits) else float("inf"))
    raise VerifyError(
        "the cut model",
        wanted=f"the masked dense model's outputs within {limits[min(worst, len(limits) - 1)]:.1e}",
        got=f"a relative difference of {errors[worst]:.1e}",
        cure="Please report this model; the dense model is unchanged.",
    )
