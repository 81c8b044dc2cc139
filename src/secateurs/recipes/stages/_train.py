"""The stage `train`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, field, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic.json_schema import SkipJsonSchema
from torch.optim import Optimizer

from secateurs.graph import trace
from secateurs.masks import fixed_masks
from secateurs.recipes._handover import hand_on, held_optimizer
from secateurs.recipes._section import STRICT_DATACLASS, Name, SaysWhere
from secateurs.recipes._seeds import stage_seed
from secateurs.recipes.stages._base import CHECKPOINT_FILE, StageType, Step
from secateurs.recipes.stages._guidance import Guidance, check_guidance
from secateurs.training import CheckpointOptions, EpochRecord, Objective, TrainOptions, make_optimizer, train

if TYPE_CHECKING:
    from secateurs.recipes._session import Session
    from secateurs.training import BatchSource

__all__ = ["TrainStage"]


# Inherits, so that every option of the training room is an option of the stage, with nothing said twice.
@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class TrainStage(SaysWhere, StageType, Guidance, TrainOptions):
    """Train the model: every option of `TrainOptions`, and what guides it; `seed` and `device` come from the recipe."""

    type: Literal["train"]
    name: Name | None = None
    seed: SkipJsonSchema[Annotated[int, Field(exclude=True)]] = field(default=0, init=False)
    device: SkipJsonSchema[Annotated[str, Field(exclude=True)]] = field(default="auto", init=False)

    def describe(self) -> str:
        """The stage in a few words."""
        return f"train {self.epochs} epochs, {self.optimizer}, lr {self.lr:g}"

    def check(self) -> None:
        """What guides the training is there, and can be done."""
        check_guidance(self, self.name or self.type)

    def options(self, *, seed: int, device: str) -> TrainOptions:
        """The training options of this stage in a run with that seed on that device."""
        plain = {option.name: getattr(self, option.name) for option in fields(TrainOptions)}
        return TrainOptions(**{**plain, "seed": seed, "device": device})

    def optimizer_over(self, session: "Session", step: Step) -> Optimizer:
        """A fresh optimizer over the model as it is now."""
        return make_optimizer(session.model, self.options_in(session, step))

    def run(self, session: "Session", step: Step) -> dict[str, Any]:
        """Train from the stage's checkpoint, or from the start; the results for run.json.

        The checkpoint is left for the run to remove once run.json says that the stage is finished: killed in
        between, the stage is done again from its last epoch, which costs nothing.
        """
        directory, validation = session.directory, session.splits.validation

        def log(record: EpochRecord) -> None:
            directory.log_epochs(step.name, [asdict(record)])
            directory.tick(step.name)

        options = self.options_in(session, step)
        penalty = self.penalty_in(session, step)
        with (
            self.prepared(session, step) as batches,
            self.guided(session, step, self.objective_in(session), penalty=penalty) as objective,
        ):
            result = train(
                session.model,
                batches,
                options,
                validation=session.evaluation_batches(validation) if len(validation) else None,
                checkpoint=CheckpointOptions(
                    path=directory.folder(step.name) / CHECKPOINT_FILE,
                    minutes=session.checkpoint_minutes,
                    stage=step.name,
                ),
                optimizer=held_optimizer(session, step),
                objective=objective,
                on_epoch=log,
                progress=session.part.progress,
            )
        if len(result.history) < options.epochs:
            session.notify(f"ended after {len(result.history)} of {options.epochs} epochs: {_why(options)}")
        # A kill between a checkpoint and its line leaves the line out; the history has it.
        directory.log_epochs(step.name, [asdict(record) for record in result.history])
        session.save_model(step)
        hand_on(session, step, result.optimizer)
        batches = session.evaluation_batches(session.splits.test)
        judged = session.objective.judged(session.model, batches, device=str(session.device))
        return {
            "epochs": len(result.history),
            **({"kept_epoch": result.kept_epoch} if options.keep == "best" else {}),
            **session.objective.learned(result.history[result.kept_epoch]),
            **{name: value for name, value in judged.items() if name != "test_images"},
            **({} if penalty is None else {"small_units": penalty.small_units()}),
            **self.results(session),
        }

    @contextmanager
    def prepared(self, session: "Session", step: Step) -> "Iterator[BatchSource]":
        """The batches to train on, while masks in force are held on the model."""
        graph = trace(session.model, args=(session.example(),))
        masks = session.masks.weights(graph) if session.masks is not None else {}
        with fixed_masks(session.model, masks):
            yield session.training_batches(step, channels_last=self.channels_last)

    def results(self, session: "Session") -> dict[str, Any]:  # noqa: ARG002 - for subclasses
        """What else the results of the stage say."""
        return {}

    def objective_in(self, session: "Session") -> Objective:
        """What this training minimises."""
        return session.objective.training(label_smoothing=self.label_smoothing)

    def options_in(self, session: "Session", step: Step) -> TrainOptions:
        """The training options of this stage in that run."""
        return self.options(seed=stage_seed(session.recipe.seed, step.index), device=str(session.device))


def _why(options: TrainOptions) -> str:
    """What may have ended a training before its time."""
    reasons = [
        f"{what} for {epochs}"
        for what, epochs in (("no better", options.patience), ("a larger gap", options.gap_patience))
        if epochs is not None
    ]
    return " or ".join(reasons)
