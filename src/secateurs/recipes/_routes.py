"""The ways that test images take through a gated network: figures for run.json, and a file for reports."""

from typing import TYPE_CHECKING, Any

import torch

from secateurs._files import save_tensors
from secateurs.dynamic import Routes, gated_cost, gates_of, routes
from secateurs.recipes._level_images import pictures_of

if TYPE_CHECKING:
    from secateurs.recipes._session import Session
    from secateurs.recipes.stages import Step

__all__ = ["ROUTES_FILE", "route_figures", "routes_of_test", "save_routes"]

ROUTES_FILE = "routes.safetensors"
"""Of test images: `runs` uint8 [N, gates], `labels` and `correct` [N]; of the `shortest` and `longest` ways of each
class, `*_images` uint8 [classes, n, C, H, W] and `*_depths` [classes, n]."""

_SHOWN = 6


def routes_of_test(session: "Session") -> Routes:
    """On every rank those of all test images."""
    return routes(session.model, session.evaluation_batches(session.splits.test, whole=True))


def route_figures(session: "Session", found: Routes) -> dict[str, Any]:
    """Rates, depths, and multiply-adds of one image as gates decide on test images.

    `blocks_run` is the publication's computation percentage: blocks that were run, with one that always is.
    """
    cost, rates = gated_cost(session.model, (session.example(),)), found.rates
    classes = session.splits.test.classes
    return {
        "blocks": list(gates_of(session.model)),
        "rates": list(rates),
        "blocks_run": (sum(rates) + 1) / (len(rates) + 1),
        "depths": list(found.histogram),
        "depth_by_class": dict(zip(classes, found.depth_by_class(len(classes)), strict=True)),
        "macs": cost.macs,
        "gate_macs": cost.gate_macs,
        "expected_macs": cost.expected(rates),
        "saved_macs": 1 - cost.expected(rates) / (cost.macs - cost.gate_macs),
    }


def save_routes(session: "Session", step: "Step", found: Routes) -> None:
    """Write them into the stage's folder, with the images of the shortest and the longest ways of each class."""
    tensors = {"runs": found.runs.to(torch.uint8), "labels": found.labels, "correct": found.correct.to(torch.uint8)}
    present = [label for label in range(len(session.splits.test.classes)) if (found.labels == label).any()]
    count = min(_SHOWN, *(int((found.labels == label).sum()) for label in present))
    for name, end in (("shortest", 0), ("longest", 1)):
        rows = [_extreme(found, label, count, end) for label in present]
        pictures = pictures_of(session.splits.test, torch.cat(rows).tolist())
        tensors[f"{name}_images"] = pictures.unflatten(0, (len(rows), count)).contiguous()
        tensors[f"{name}_depths"] = torch.stack([found.depths[row] for row in rows])
    tensors["classes"] = torch.tensor(present)
    save_tensors(session.directory.folder(step.name) / ROUTES_FILE, tensors)


def _extreme(found: Routes, label: int, count: int, end: int) -> torch.Tensor:
    """Places of the class's images with the shortest ways, or with the longest."""
    places = (found.labels == label).nonzero().squeeze(1)
    own = Routes(runs=found.runs[places], labels=found.labels[places], correct=found.correct[places])
    return places[own.extremes(count)[end]]
