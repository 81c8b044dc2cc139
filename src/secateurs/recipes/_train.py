"""The stage `train`."""

from dataclasses import asdict
from typing import Any

from secateurs.recipes._handover import hand_on, held_optimizer, stage_options
from secateurs.recipes._session import Session
from secateurs.recipes._stages import Step, TrainStage
from secateurs.training import EpochRecord, evaluate, train

__all__ = ["CHECKPOINT_FILE", "run_train"]

CHECKPOINT_FILE = "checkpoint.safetensors"


def run_train(session: Session, step: Step, stage: TrainStage) -> dict[str, Any]:
    """Train from the stage's checkpoint, or from the start; the results for run.json.

    The checkpoint is left for the run to remove once run.json says that the stage is finished: killed in
    between, the stage is done again from its last epoch, which costs nothing.
    """
    directory, validation = session.directory, session.splits.validation

    def log(record: EpochRecord) -> None:
        directory.log_epochs(step.name, [asdict(record)])
        directory.tick(step.name)

    result = train(
        session.model,
        session.training_batches(step, channels_last=stage.channels_last),
        stage_options(session, step, stage),
        validation=session.evaluation_batches(validation) if len(validation) else None,
        checkpoint=directory.folder(step.name) / CHECKPOINT_FILE,
        optimizer=held_optimizer(session, step),
        on_epoch=log,
        progress=session.progress,
    )
    # A kill between a checkpoint and its line leaves the line out; the history has it.
    directory.log_epochs(step.name, [asdict(record) for record in result.history])
    session.save_model(step)
    hand_on(session, step, result.optimizer)
    last = result.history[-1]
    seen = evaluate(session.model, session.evaluation_batches(session.splits.test), device=str(session.device))
    return {
        "epochs": len(result.history),
        "train_accuracy": last.train_accuracy,
        "validation_accuracy": last.validation_accuracy,
        "test_accuracy": seen.accuracy,
    }
