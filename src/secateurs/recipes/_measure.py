"""The stage `measure`, and the figures that every stage reports alike."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import nn

from secateurs.cost import Latency, cost, latency, latency_pair
from secateurs.recipes._session import Session
from secateurs.recipes._stages import MeasureStage, Step
from secateurs.training import evaluate

__all__ = ["figures", "run_measure"]


def figures(session: Session, model: nn.Module) -> dict[str, Any]:
    """Test accuracy, and the cost of one image."""
    seen = evaluate(model, session.evaluation_batches(session.splits.test), device=str(session.device))
    counted = cost(model, args=(session.example(),))
    return {
        "test_accuracy": seen.accuracy,
        "test_images": seen.images,
        "params": counted.params,
        "macs": counted.macs,
        "bytes": counted.bytes,
        "activation_bytes": counted.activation_bytes,
        "uncounted": dict(counted.uncounted),
    }


def run_measure(session: Session, step: Step, stage: MeasureStage) -> dict[str, Any]:
    """What the model can do and costs now, with latency beside that of the model before the first cut.

    Both are timed in turns in this process, so that whatever else the machine does hits both alike.
    """
    results: dict[str, Any] = {"after": figures(session, session.model)}
    if not stage.latency:
        return results
    first = session.first_cut()
    args = (session.example(),)
    if first is None or first.index > step.index:
        now = latency(session.model, args, batch_sizes=stage.batch_sizes)
        results["after"] |= _times(now)
    else:
        pair = latency_pair(session.restored(first.index), session.model, args, batch_sizes=stage.batch_sizes)
        results |= {"before": _times(pair.a), "after": results["after"] | _times(pair.b)}
    return results


def _times(measured: Latency) -> dict[str, Any]:
    rows: Sequence[dict[str, Any]] = [asdict(row) for row in measured.rows]
    return {"latency_ms": rows[0]["median_ms"], "latency": rows, "latency_warmup": measured.warmup}
