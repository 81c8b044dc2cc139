"""Everything in one call."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs.criteria import Criterion, Loss, build
from secateurs.graph import readable, tensors_of, trace
from secateurs.selection import Per, select, select_measured
from secateurs.surgery._apply import Result, apply, check_provable
from secateurs.surgery._repair import repair as repaired
from secateurs.surgery._repair_options import RepairOptions
from secateurs.surgery._timed import LatencyOptions, latency_removed

__all__ = ["prune"]


def prune(
    model: nn.Module,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    remove: Mapping[str, float] | None = None,
    criterion: str | Criterion | None = None,
    batches: Iterable[Any] | None = None,
    loss: Loss | None = None,
    scope: Literal["global", "layerwise"] | Mapping[str, float] = "global",
    protect: Iterable[str] = (),
    floor: float | Mapping[str, float] = 1,
    cap: float | Mapping[str, float] | None = None,
    multiple_of: int = 1,
    per: Per | Literal["auto"] | None = "auto",
    kinds: Iterable[str] | None = None,
    latency: LatencyOptions | None = None,
    optimizer: Optimizer | None = None,
    inplace: bool = False,
    verify: bool = True,
    repair: bool | RepairOptions = True,
) -> Result:
    """Trace, score, select, cut and prove; with batches, repair.

    Args:
        model: any module; of a wrapper (`torch.compile`, `DataParallel`...) the module inside.
        args, kwargs: an example call, given in any of the ways of `trace`.
        remove: fraction to remove of `macs`, `params`, `bytes` or `units`; one or several, all are met. Also of
            `latency`, which is measured, on cut copies until the budget is met within a tolerance (`LatencyOptions`).
        criterion: an object, or a registered name with its default options. None: `Reconstruction` where repair
            follows, which then has the error that units are chosen by, else `Magnitude`.
        batches, loss: for criteria that look at data, and the inputs for repair.
        scope, protect, floor, cap, multiple_of, kinds: as in `select`.
        per: as in `select`; "auto": of criteria that say how much harm is done (`Criterion.harm`), in the scope
            "global", what the budget counts, else None.
        latency: how a latency in `remove` is measured, and how close it must come.
        optimizer, inplace, verify: as in `apply`; the proof is of the model as cut, before repair.
        repair: let what is left take over from what is gone, where batches are given; see `repair`. False: as cut.

    Returns:
        The smaller model with its plan and report.

    Raises:
        GraphError: the model cannot be read, or fails on the example.
        PlanError: no such plan, a budget that cannot be reached, or no values to prove anything on (weights on the
            meta device need verify=False); the model is unchanged.
        VerifyError: the cut model would be wrong; the model is unchanged.
    """
    repairs = batches is not None and repair is not False
    criterion = criterion or ("reconstruction" if repairs else "magnitude")
    chosen = build(criterion) if isinstance(criterion, str) else criterion
    model = readable(model, where="prune")
    if verify:
        check_provable(model)
    batches = list(batches) if isinstance(batches, Iterator) else batches  # they are gone through twice
    graph = trace(model, args, kwargs)
    scores = chosen(graph, batches, loss)
    rules: dict[str, Any] = {"scope": scope, "protect": protect, "floor": floor, "cap": cap, "kinds": kinds}
    rules |= {"multiple_of": multiple_of, "per": _per(chosen, scope, remove or {}) if per == "auto" else per}
    if remove is not None and "latency" in remove:
        counted = {key: ratio for key, ratio in remove.items() if key != "latency"}
        measure, probing = latency_removed(model, args, kwargs, latency), (latency or LatencyOptions()).probing
        plan = select_measured(graph, scores, remove["latency"], measure, remove=counted, probing=probing, **rules).plan
    else:
        plan = select(graph, scores, remove, **rules)
    if batches is None or not repairs or not plan.cuts:
        return apply(model, plan, optimizer=optimizer, inplace=inplace, verify=verify)
    result = apply(model, plan, optimizer=None if inplace else optimizer, verify=verify)
    result = repaired(result, batches, options=repair if isinstance(repair, RepairOptions) else None)
    return _in_place(model, result, optimizer) if inplace else result


def _per(criterion: Criterion, scope: object, remove: Mapping[str, float]) -> Per | None:
    """What scores are divided by, where the user leaves it open."""
    if not criterion.harm or scope != "global" or remove.keys() <= {"units"}:
        return None
    return "params" if remove.keys() <= {"params", "bytes", "units"} else "macs"


@torch.no_grad()
def _in_place(model: nn.Module, result: Result, optimizer: Optimizer | None) -> Result:
    """The model itself, cut and with the repaired values: repair needs the dense one until it is done."""
    done = apply(model, result.plan, optimizer=optimizer, inplace=True, verify=False)
    own = tensors_of(model)
    for path, tensor in tensors_of(result.model).items():
        own[path].copy_(tensor)
    return replace(result, model=done.model, optimizer=done.optimizer)
