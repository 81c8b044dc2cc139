"""The stage `measure`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from secateurs import _distributed
from secateurs._errors import DataError
from secateurs.cost import Latency, cost, latency, latency_pair
from secateurs.dynamic import gates_of
from secateurs.recipes._figures import figures, removed_params, validation_figures
from secateurs.recipes._routes import route_figures, routes_of_test
from secateurs.recipes._section import STRICT, Count, Name
from secateurs.recipes.objectives import open_objective
from secateurs.recipes.stages._base import StageType, Step

if TYPE_CHECKING:
    from secateurs.data import Splits
    from secateurs.recipes._session import Session

__all__ = ["MeasureStage"]


class MeasureStage(StageType, BaseModel):
    """Measure test accuracy, cost and latency of the model as it is."""

    model_config = STRICT
    changes: ClassVar[bool] = False
    measures: ClassVar[bool] = True
    type: Literal["measure"]
    name: Name | None = None
    latency: bool = True
    """Measure latency too, alternating with the model before the first cut where there was one."""
    batch_sizes: tuple[Count, ...] = Field(default=(1, 64), min_length=1)
    """Batch sizes whose latency is measured; `latency_ms` in the summary is that of the first."""

    threads: Count | None = None
    """Processor threads that torch may use while latency is measured; None for as many as the run."""
    subsets: tuple[str | tuple[str | int, ...], ...] = ()
    """Measure accuracy on these classes too, as `data.classes` says them, each for itself."""
    validation: bool = False
    """Judge by validation images too, under `validation_` names: what runs may be chosen by, as sweeps do."""

    def check_data(self, splits: "Splits") -> None:
        """There are such classes, and validation images where they are to judge."""
        if self.validation and not len(splits.validation):
            raise DataError(
                "data.validation_ratio",
                wanted="validation images, by which the stage measure is to judge",
                got="none",
                cure="Set data.validation_ratio above 0.",
            )
        for asked in self.subsets:
            splits.only(asked)

    def describe(self) -> str:
        """The stage in a few words."""
        return "measure accuracy, cost" + (" and latency" if self.latency else "")

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """What the model can do and costs now, with latency beside that of the model before the first cut.

        Both are timed in turns in this process, so that whatever else the machine does hits both alike.
        """
        results: dict[str, Any] = {"after": figures(session, session.model)}
        if self.validation:
            results["after"] |= validation_figures(session, session.model)
        results["removed_params"] = removed_params(session.model)
        if gates_of(session.model):
            results["gates"] = route_figures(session, routes_of_test(session))
            results["after"]["expected_macs"] = results["gates"]["expected_macs"]
        if self.subsets:
            results["subsets"] = dict(map(partial(_on_subset, session), self.subsets))
        if not self.latency:
            return results
        # Rank 0 alone, while the others wait: they would be timed too.
        with _threads(self.threads):
            times = _distributed.decided(lambda: self._times(session, step))
        results["after"] |= times.pop("after")
        return results | times

    def _times(self, session: "Session", step: Step) -> dict[str, Any]:
        first = session.first_cut()
        args = (session.example(),)
        if first is None or first.index > step.index:
            return {"after": _times(latency(session.model, args, batch_sizes=self.batch_sizes), session.model, args)}
        dense = session.restored(first.index)
        pair = latency_pair(dense, session.model, args, batch_sizes=self.batch_sizes)
        return {"before": _times(pair.a, dense, args), "after": _times(pair.b, session.model, args)}


def _on_subset(session: "Session", asked: str | tuple[str | int, ...]) -> tuple[str, dict[str, Any]]:
    """Its name, and what the objective says of its test images."""
    part = session.splits.only(asked)
    objective = open_objective(session.recipe.purpose, part)
    batches = session.evaluation_batches(part.test)
    assert part.subset is not None
    return part.subset.name, dict(objective.judged(session.model, batches, device=str(session.device)))


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        if count is not None:
            torch.set_num_threads(count)
        yield
    finally:
        torch.set_num_threads(before)


def _times(measured: Latency, model: nn.Module, args: tuple[Tensor]) -> dict[str, Any]:
    """Each row with the rate that it comes to, and the threads that it was measured with."""
    macs, threads = cost(model, args).macs, torch.get_num_threads()
    rows = [asdict(row) | {"gops_per_s": row.gops_per_s(macs), "threads": threads} for row in measured.rows]
    said = {"latency_warmup": measured.warmup, "latency_on": measured.hardware}
    return {"latency_ms": rows[0]["median_ms"], "latency": rows, **said}
