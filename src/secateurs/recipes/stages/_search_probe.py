"""Probes of a search: the model cut to a level, trained, and judged by validation images; each in its own folder."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from secateurs import _distributed
from secateurs._errors import BudgetError
from secateurs._files import remove_partial, write_json
from secateurs._json import read_json
from secateurs.criteria import Scores
from secateurs.graph import Graph, Plan
from secateurs.recipes._planned import planned
from secateurs.recipes._seeds import stage_seed
from secateurs.recipes.stages._base import CHECKPOINT_FILE, MODEL_FILE, Step
from secateurs.recipes.stages._cut_options import CutSection, scores_of, selected
from secateurs.recipes.stages._train_section import TrainSection
from secateurs.surgery import Result, apply, load, save
from secateurs.training import CheckpointOptions, EpochRecord, remove_checkpoint, train

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["Probe", "Probes"]

PLAN_FILE = "plan.json"
PROBE_FILE = "probe.json"
Probe = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Probes:
    """All probes of a search begin with the same model, the same scores and the same random numbers.

    So what a level comes to does not depend on which levels were probed before it.

    Attributes:
        graph: of the model to begin with, which stays as it is.
        amount: what levels are fractions of.
        first_epoch: of the schedule, where each training begins.
        epochs: of each training; 0 for none.
    """

    session: "Session"
    step: Step
    graph: Graph
    amount: str
    cut: CutSection
    train: TrainSection
    first_epoch: int
    epochs: int

    def folder(self, level: float) -> Path:
        """Where a probe leaves its files, named by percent: `probes/50`."""
        return self.session.directory.folder(self.step.name) / "probes" / f"{100 * level:g}"

    def probe(self, level: float) -> Probe:
        """What became of a level: from its files where it has been probed, else probed now."""
        folder = self.folder(level)
        done = _distributed.decided(lambda: read_json(folder / PROBE_FILE) if (folder / PROBE_FILE).exists() else None)
        if done is None:
            remove_partial(folder)
            done = self._carry_out(level, folder)
            write_json(folder / PROBE_FILE, done)
            _distributed.barrier()
        if _distributed.is_first():  # also where a kill has come between the two
            remove_checkpoint(folder / CHECKPOINT_FILE)
        self.session.directory.tick(self.step.name)
        found: Probe = done
        return found

    def model(self, level: float) -> nn.Module:
        """The model that a probe has left."""
        model = load(self.folder(level) / MODEL_FILE, lambda: self.session.restored(0))
        return model.to(self.session.device)

    def plan(self, level: float) -> Plan:
        """What a probe has removed."""
        return Plan.load(self.folder(level) / PLAN_FILE)

    def merit(self, model: nn.Module) -> float:
        """What validation images say of a model; more is better."""
        session = self.session
        batches = session.evaluation_batches(session.splits.validation)
        judged = session.objective.judged(model, batches, device=str(session.device))
        return float(judged[f"test_{session.objective.figure}"])

    @cached_property
    def scores(self) -> Scores:
        """Of all units of the model to begin with."""
        return scores_of(self.session, self.step, self.cut, self.graph)

    def _carry_out(self, level: float, folder: Path) -> dict[str, Any]:
        session, started = self.session, time.perf_counter()
        cut, scores = self.cut, self.scores
        try:
            plan = planned(lambda: selected(self.graph, scores, cut, {self.amount: level}, cut.scope))
        except BudgetError as error:
            seconds = round(time.perf_counter() - started, 3)
            return {"level": level, "reached": False, "why": str(error), "epochs": 0, "gops": 0.0, "seconds": seconds}
        example = (session.example(),)
        result = apply(self.graph.model, plan, verify=cut.verify, example=example)
        plan.save(folder / PLAN_FILE)
        spent = time.perf_counter() - started
        history = self._trained(result.model, level, folder) if self.epochs else ()
        started = time.perf_counter()
        save(result.model, folder / MODEL_FILE)
        merit = self.merit(result.model)
        spent += sum(record.seconds for record in history) + time.perf_counter() - started
        return {
            "level": level,
            "reached": True,
            f"validation_{session.objective.figure}": merit,
            **self._figures(result, len(history)),
            "seconds": round(spent, 3),
            "history": [asdict(record) for record in history],
        }

    def _trained(self, model: nn.Module, level: float, folder: Path) -> tuple[EpochRecord, ...]:
        session, validation = self.session, self.session.splits.validation
        total = self.first_epoch + self.epochs
        options = self.train.part(self.first_epoch, total, total).options(
            seed=stage_seed(session.recipe.seed, self.step.index), device=str(session.device)
        )

        def note(_record: EpochRecord) -> None:
            session.directory.tick(self.step.name)

        plain = session.objective.training(label_smoothing=options.label_smoothing)
        # The teacher is the network before this cut.
        with self.train.guided(session, self.step, plain, student=model, teacher=self.graph.model) as objective:
            result = train(
                model,
                session.training_batches(self.step, channels_last=options.channels_last),
                options,
                validation=session.evaluation_batches(validation),
                checkpoint=CheckpointOptions(
                    path=folder / CHECKPOINT_FILE,
                    minutes=session.checkpoint_minutes,
                    stage=f"{self.step.name} probe {level:g}",
                ),
                objective=objective,
                on_epoch=note,
                progress=session.part.progress,
            )
        return result.history

    def _figures(self, result: Result, epochs: int) -> dict[str, Any]:
        """What the cut model costs, and what finding that out has cost."""
        session, plan = self.session, result.plan
        counted = self.graph.cost(plan, train=True)
        training = counted.train_gops * session.epoch_images * epochs
        # Once after each epoch, and once to be compared.
        judging = 2e-9 * counted.macs * len(session.splits.validation) * (epochs + 1)
        return {
            "params": counted.params,
            "macs": counted.macs,
            "bytes": counted.bytes,
            "removed": {name: _gone(plan, name) for name in ("params", "macs", "bytes")},
            "verified": result.report.error,
            "epochs": epochs,
            "train_gops": training,
            "validation_gops": judging,
            "gops": training + judging,
        }


def _gone(plan: Plan, name: str) -> float:
    before = getattr(plan.before, name)
    return 1 - getattr(plan.cost, name) / before if before else 0.0
