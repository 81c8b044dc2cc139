"""A criterion that looks at data, on each rank's part of it, in tests/distributed/test_scores.py."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from secateurs import _distributed, models
from secateurs._errors import SecateursError
from secateurs.criteria import Contribution, Criterion, Loss
from secateurs.data import BatchOptions
from secateurs.graph import Graph, trace
from secateurs.recipes._planned import planned
from secateurs.selection import select
from tests.distributed._training import _batches


@final
@dataclass(frozen=True, kw_only=True)
class InputEnergy(Criterion):
    """The weights' norm by the root of the images' mean square: a sum over images, then something that is none."""

    reduces: ClassVar[bool] = True
    honest: bool = True

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        energy, images = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        for x, _ in batches or ():
            energy += x.double().square().sum()
            images += len(x)
        if self.honest:
            _distributed.all_reduce([energy, images])
        scale = (energy / images).sqrt()
        return {axis.name: torch.arange(1.0, axis.size + 1).double() * scale for axis in graph.axes}


def decided() -> dict[str, Any]:
    """Scores, the plan made of them, and what a criterion hears that forgot to add up."""
    torch.manual_seed(0)
    graph = trace(models.build("mlp", classes=3, size=8, widths=[12, 7]), args=(torch.zeros(1, 1, 8, 8),))
    shard = (_distributed.rank(), _distributed.world())
    scores, lies = (
        InputEnergy(honest=honest)(graph, _batches(44, 3, BatchOptions(shard=shard))) for honest in (True, False)
    )
    _distributed.check_close("scores", scores)
    plan = planned(lambda: select(graph, scores, remove={"params": 0.5}))
    try:
        _distributed.check_close("scores", lies)
        heard = "nothing"
    except SecateursError as error:
        heard = str(error)
    return {
        "scores": {name: value.tolist() for name, value in scores.items()},
        "removed": {name: list(units) for name, units in plan.removed.items()},
        "heard": heard,
    }


def contributions() -> dict[str, list[float]]:
    """Mean and maximum contributions; the last batch has one image, so that one rank gets none of it."""
    torch.manual_seed(0)
    graph = trace(models.build("mlp", classes=3, size=8, widths=[12, 7]), args=(torch.zeros(1, 1, 8, 8),))
    shard = (_distributed.rank(), _distributed.world())
    scores = Contribution(maximum=1.0)(graph, batches=_batches(45, 3, BatchOptions(shard=shard)))
    return {name: value.tolist() for name, value in scores.items()}
