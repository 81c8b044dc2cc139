"""A criterion that looks at data, on each rank's part of it, in tests/distributed/test_scores.py."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final, get_args

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from secateurs import _distributed, models
from secateurs._errors import SecateursError
from secateurs.criteria import (
    SNIP,
    ActivationMean,
    ActivationNorm,
    Contribution,
    Criterion,
    Fisher,
    GraSP,
    HRank,
    Loss,
    Taylor,
    UnitMem,
    score_together,
)
from secateurs.criteria._unit_mem_tally import Rest
from secateurs.data import AugmentedView, BatchOptions, ViewOptions
from secateurs.graph import Graph, trace
from secateurs.recipes._planned import planned
from secateurs.selection import select
from tests.data.making import image_set
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


def memorised() -> dict[str, dict[str, list[Any]]]:
    """UnitMem by each way to take the rest; the last batch has one image, so that one rank gets none of it."""
    torch.manual_seed(0)
    graph = trace(models.build("mlp", classes=3, channels=3, size=8, widths=[12, 7]), args=(torch.zeros(1, 3, 8, 8),))
    shard, found = (_distributed.rank(), _distributed.world()), {}
    options = ViewOptions(images=11, augmentations=2, batch_size=5)
    view = AugmentedView(image_set(20), ((0.5,) * 3, (0.2,) * 3), options, options=BatchOptions(shard=shard))
    for rest in get_args(Rest):
        for name, seen in UnitMem(rest=rest).observe(graph, view, activations=True).items():
            assert seen.activations is not None
            found[f"{rest} {name}"] = {
                "values": seen.values.tolist(),
                "images": seen.images.tolist(),
                "activations": seen.activations.flatten().tolist(),
            }
    return found


def streamed() -> dict[str, dict[str, list[float]]]:
    """Criteria that share a pass, and GraSP; one rank gets nothing of the last batch."""
    torch.manual_seed(0)
    graph = trace(models.build("mlp", classes=3, size=8, widths=[12, 7]), args=(torch.zeros(1, 1, 8, 8),))
    shard = (_distributed.rank(), _distributed.world())
    batches = _batches(45, 3, BatchOptions(shard=shard))
    listed: list[Criterion] = [
        ActivationMean(),
        ActivationNorm(),
        HRank(),
        Taylor(),
        Taylor(at="gate"),
        Fisher(),
        SNIP(),
    ]
    listed += [Fisher(at="weights"), GraSP(temperature=1)]
    found = score_together(graph, listed, batches=batches, loss=cross_entropy)
    return {
        repr(criterion): {name: value.tolist() for name, value in scores.items()}
        for criterion, scores in zip(listed, found, strict=True)
    }
