"""The figures that every stage reports alike."""

from typing import TYPE_CHECKING, Any

from torch import nn

from secateurs.cost import cost
from secateurs.training import evaluate

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["figures"]


def figures(session: "Session", model: nn.Module) -> dict[str, Any]:
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
