"""Apply a plan: check, copy, cut, prove."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs._errors import PlanError
from secateurs.graph import Plan, arguments_of, readable, tensors_of
from secateurs.surgery._cut import check_fits, check_values, copy_model, cut_model
from secateurs.surgery._masked import example_of, graph_of
from secateurs.surgery._optimizer import check_optimizer, cut_optimizer
from secateurs.surgery._repair_report import RepairReport
from secateurs.surgery._runs import Example
from secateurs.surgery._verify import Proof, verify

__all__ = ["HISTORY", "Report", "Result", "apply", "check_provable"]

HISTORY = "_secateurs_plans"
"""Attribute of a cut model that holds the plans that led to it, in order."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """How a cut went.

    Attributes:
        verified: whether the cut model was proved equal to the masked dense one, by outputs that depend on the cut.
        proof: error, tolerance and precision of the proof; `None` without verification.
        seconds: time for checking, cutting and proving.
    """

    verified: bool
    proof: Proof | None
    seconds: float

    @property
    def error(self) -> float | None:
        """Largest relative difference found by the proof."""
        return None if self.proof is None else self.proof.error

    def __str__(self) -> str:
        if self.proof is None:
            return f"not verified, {self.seconds:.2f} s"
        if not self.verified:
            return f"not verified: the outputs do not depend on what was cut, {self.seconds:.2f} s"
        weights = ", weights filled at random" if self.proof.random_weights else ""
        return f"verified to {self.proof.error:.1e} in {self.proof.precision}{weights}, {self.seconds:.2f} s"


@dataclass(frozen=True, kw_only=True)
class Result:
    """A cut model with its receipts.

    Attributes:
        model: the smaller model.
        plan: what was removed.
        report: how the cut went.
        optimizer: the optimizer that was passed in, now holding the smaller parameters.
        repair: how weights were repaired after the cut and its proof; `None` where they are as cut.
    """

    model: nn.Module
    plan: Plan
    report: Report
    optimizer: Optimizer | None = None
    repair: RepairReport | None = None


@torch.inference_mode(False)  # tensors made in inference mode could never be trained again
def apply(
    model: nn.Module,
    plan: Plan,
    *,
    optimizer: Optimizer | None = None,
    inplace: bool = False,
    verify: bool = True,
    example: Any = None,
) -> Result:
    """Cut a model as planned.

    Args:
        model: the model that the plan was made for. Of a wrapper (`torch.compile`, `DataParallel`,
            `DistributedDataParallel`) the module inside is cut, and the result is without wrapper.
        plan: what to remove.
        optimizer: an optimizer over the model's parameters; afterwards it holds the cut model's, with its state cut
            along (momentum and moments survive).
        inplace: cut `model` itself; its parameters stay the same objects, gradients are cut along. Otherwise it is
            left as it is, and the copy has no gradients.
        verify: prove on the example, in float64 copies where memory allows, that the cut model equals the masked
            dense one. Weights on the meta device hold no values to prove anything on.
        example: arguments to verify on; by default those of the trace, or random ones of the planned shapes.

    Raises:
        GraphError: not a module, or one that cannot be cut.
        PlanError: the plan does not fit the model, or there is nothing to prove it on; nothing was changed.
        VerifyError: the cut model is wrong; `model` and `optimizer` are unchanged.
    """
    start = time.perf_counter()
    model = readable(model, where="apply", warn=False)
    check_fits(model, plan)
    check_values(model, plan)
    if optimizer is not None:
        check_optimizer(optimizer, model, plan)
    if verify:
        check_provable(model)
    originals = dict(model.named_parameters())
    smaller, copied = model, originals
    proof = None
    if verify or not inplace:
        smaller, copied = _cut_copy(model, plan)
    if verify:
        proof = _prove(model, smaller, plan, example)
    if inplace:
        _cut_here(model, plan)
        smaller, copied = model, originals
    if optimizer is not None:
        cut_optimizer(optimizer, plan, {path: (old, copied[path]) for path, old in originals.items()})
    verified = proof is not None and (proof.reacts or not plan.cuts)
    report = Report(verified=verified, proof=proof, seconds=time.perf_counter() - start)
    return Result(model=smaller, plan=plan, report=report, optimizer=optimizer)


def _cut_copy(model: nn.Module, plan: Plan) -> tuple[nn.Module, dict[str, nn.Parameter]]:
    """A cut copy, and its parameters by the paths they had before the cut."""
    smaller = copy_model(model)
    parameters = dict(smaller.named_parameters())
    _cut_here(smaller, plan)
    return smaller, parameters


def _cut_here(model: nn.Module, plan: Plan) -> None:
    cut_model(model, plan)
    vars(model)[HISTORY] = (*getattr(model, HISTORY, ()), _without_graph(plan))


def _without_graph(plan: Plan) -> Plan:
    """The plan alone: a model must not keep the dense model alive through its history."""
    return Plan(**{**{name: getattr(plan, name) for name in Plan.__dataclass_fields__}, "graph": None})


def _prove(model: nn.Module, smaller: nn.Module, plan: Plan, example: Any) -> Proof:
    given = None if example is None else _example(model, example)
    return verify(model, smaller, plan, graph_of(model, plan, given), example_of(model, plan, given))


def _example(model: nn.Module, example: Any) -> Example:
    if not isinstance(example, (Tensor, tuple, Mapping)):
        cure = "Pass example=(x,) or example={'name': x}."
        raise PlanError("example", wanted="a tensor, tuple or mapping", got=type(example).__name__, cure=cure)
    return arguments_of(model, example, where="example")


def check_provable(model: nn.Module) -> None:
    """Refuse weights without values.

    Raises:
        PlanError: a tensor on the meta device.
    """
    for path, tensor in tensors_of(model).items():
        if tensor.is_meta:
            cure = "Pass verify=False, or load the weights first."
            got = "a tensor on the meta device, without values"
            raise PlanError(path, wanted="values to prove the cut on", got=got, cure=cure)
