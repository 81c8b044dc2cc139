"""torchvision's compiled operators may not load beside a CPU-only torch; two schemas are what its import needs then."""

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

__all__ = ["import_torchvision"]

_kept: list[Any] = []
"""Schemas live as long as the object that defined them."""


@cache
def import_torchvision() -> None:
    """Import torchvision, where it is installed; where its operators do not load, with `nms` in plain torch."""
    if find_spec("torchvision") is None:
        return
    try:
        import_module("torchvision")
    except RuntimeError:  # operator torchvision::nms does not exist
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        _define()
        # It also asks whether its own operators were loaded, before it calls ours.
        import_module("torchvision.ops.boxes")._assert_has_ops = lambda: None  # type: ignore[attr-defined]


def _define() -> None:
    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CPU")
    _kept.append(library)


def _nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Greedy: the best box stays, all that overlap it by more than the threshold go."""
    order, kept = scores.argsort(descending=True), []
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low = torch.maximum(boxes[best, :2], boxes[order, :2])
        high = torch.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        order = order[shared / (area[best] + area[order] - shared) <= threshold]
    return torch.stack(kept) if kept else order
