"""The end of a level: what is there is compared with what was removed, and the seed's files are written."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import torch
from pydantic import BaseModel, Field

from secateurs._errors import VerifyError
from secateurs.graph import trace
from secateurs.masks import UnitMasks
from secateurs.recipes._section import STRICT, Name
from secateurs.recipes.stages._base import StageType, Step
from secateurs.recipes.stages._level import LevelBase, experiment_of
from secateurs.recipes.stages._level_files import Activations, write_experiment
from secateurs.surgery import lineage

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["LevelEndStage"]


class LevelEndStage(StageType, BaseModel):
    """After the training of a level; `levels` writes it out."""

    model_config = STRICT
    changes: ClassVar[bool] = False
    type: Literal["level_end"]
    name: Name | None = None
    level: Annotated[int, Field(ge=0)]
    """Its number, from 0."""
    activations: Activations = "none"
    """Whether all activations are put into one file for the whole experiment, and of which format."""

    def describe(self) -> str:
        """The stage in a few words."""
        return f"check what level {self.level} removed"

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Compare, tell, write."""
        levels = _levels(session, step)
        records = [session.directory.entry(level.name)["results"] for level in levels]
        if session.masks is None:
            _check_cut(session, step, records)
        else:
            _check_masked(session, step, session.masks, records)
        last = records[-1]["kept_units"]
        for layer, kept in last.items():
            lost = len(records[-1]["removed_units"][layer]) or records[-1].get("removed_weights", {}).get(layer, 0)
            session.notify(f"  {layer}: {lost} removed, {kept} left")
        experiment = experiment_of(session, step)
        write_experiment(session.directory, experiment, levels, _trainings(session, levels), self.activations)
        return {"level": self.level, "checked": True, "kept_units": last}


def _levels(session: "Session", step: Step) -> list[Step]:
    """The steps that removed something, from level 0 of this experiment on."""
    found: list[Step] = []
    for other in session.steps[: step.index]:
        if isinstance(other.stage, LevelBase):
            found = [other] if other.stage.level == 0 else [*found, other]
    return found


def _trainings(session: "Session", levels: list[Step]) -> list[Step]:
    return [session.steps[level.index + 1] for level in levels]


def _check_cut(session: "Session", step: Step, records: list[Mapping[str, Any]]) -> None:
    """Of each layer exactly the units are left that no level has removed."""
    history = lineage(session.model)
    for layer, kept in records[-1]["kept_units"].items():
        places = history.places(f"{layer}.weight")[0].tolist()
        gone = {unit for record in records for unit in record["removed_units"][layer]}
        if gone & set(places):
            raise _wrong(step, layer, f"units {sorted(gone)[:5]}... gone", f"{sorted(gone & set(places))[:5]} there")
        if records[-1]["removed_count"] and len(places) < kept:
            raise _wrong(step, layer, f"{kept} units", str(len(places)))


def _check_masked(session: "Session", step: Step, masks: UnitMasks, records: list[Mapping[str, Any]]) -> None:
    """The masks leave out what the levels have removed, and everything that they leave out is zero."""
    for layer in records[-1]["kept_units"]:
        removed = {unit for record in records for unit in record["removed_units"][layer]}
        stays = masks.units[layer]
        if masks.options.granularity == "channel" and bool(stays[sorted(removed)].any()):
            raise _wrong(step, layer, f"a mask without units {sorted(removed)[:5]}...", "one with some of them")
    graph = trace(session.model, args=(session.example(),))
    for path, mask in masks.weights(graph).items():
        tensor = graph.tensor(path).detach()
        if bool(torch.count_nonzero(tensor[~mask.to(tensor.device)])):
            raise _wrong(step, path, "zeros where the mask has them", "something else")


def _wrong(step: Step, where: str, wanted: str, got: str) -> VerifyError:
    return VerifyError(f"{step.name} {where}", wanted=wanted, got=got, cure="Please report this with the recipe.")
