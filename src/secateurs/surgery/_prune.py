"""Everything in one call."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs.criteria import Criterion, Loss, build
from secateurs.graph import readable, trace
from secateurs.selection import select
from secateurs.surgery._apply import Result, apply, check_provable

__all__ = ["prune"]


def prune(
    model: nn.Module,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    remove: Mapping[str, float] | None = None,
    criterion: str | Criterion = "magnitude",
    batches: Iterable[Any] | None = None,
    loss: Loss | None = None,
    scope: Literal["global", "layerwise"] | Mapping[str, float] = "global",
    protect: Iterable[str] = (),
    floor: float = 1,
    multiple_of: int = 1,
    kinds: Iterable[str] | None = None,
    optimizer: Optimizer | None = None,
    inplace: bool = False,
    verify: bool = True,
) -> Result:
    """Trace, score, select, cut and prove.

    Args:
        model: any module; of a wrapper (`torch.compile`, `DataParallel`...) the module inside.
        args, kwargs: an example call, given in any of the ways of `trace`.
        remove: fraction to remove of `macs`, `params`, `bytes` or `units`; one or several, all are met.
        criterion: an object, or a registered name with its default options.
        batches, loss: for criteria that look at data.
        scope, protect, floor, multiple_of, kinds: as in `select`.
        optimizer, inplace, verify: as in `apply`.

    Returns:
        The smaller model with its plan and report.

    Raises:
        GraphError: the model cannot be read, or fails on the example.
        PlanError: no such plan, a budget that cannot be reached, or no values to prove anything on (weights on the
            meta device need verify=False); the model is unchanged.
        VerifyError: the cut model would be wrong; the model is unchanged.
    """
    chosen = build(criterion) if isinstance(criterion, str) else criterion
    model = readable(model, where="prune")
    if verify:
        check_provable(model)
    graph = trace(model, args, kwargs)
    scores = chosen(graph, batches, loss)
    plan = select(
        graph,
        scores,
        remove,
        scope=scope,
        protect=protect,
        floor=floor,
        multiple_of=multiple_of,
        kinds=kinds,
    )
    return apply(model, plan, optimizer=optimizer, inplace=inplace, verify=verify)
