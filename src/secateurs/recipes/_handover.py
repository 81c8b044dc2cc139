"""Optimizers handed from stage to stage, always through a file: a resumed run and an uninterrupted one do the same."""

from torch.optim import Optimizer

from secateurs.recipes._optimizer import load_optimizer_state, save_optimizer_state
from secateurs.recipes._session import Session, stage_seed
from secateurs.recipes._stages import MeasureStage, PruneStage, Step, TrainStage
from secateurs.training import TrainOptions, make_optimizer

__all__ = ["hand_on", "held_optimizer", "stage_options"]

_FILE = "optimizer.safetensors"


def stage_options(session: Session, step: Step, stage: TrainStage) -> TrainOptions:
    """A train stage's options in this run."""
    return stage.options(seed=stage_seed(session.recipe.seed, step.index), device=str(session.device))


def held_optimizer(session: Session, step: Step) -> Optimizer | None:
    """The optimizer that the stage before handed on, over the model as it is now; None where it handed on none."""
    before = _changing(session.steps[: step.index])
    if not before or not _hands_on(session, before[-1]):
        return None
    trains = [earlier for earlier in before if isinstance(earlier.stage, TrainStage)]
    # Its settings are those of the stage that uses it; the history alone is carried over.
    user = step if isinstance(step.stage, TrainStage) else trains[-1]
    assert isinstance(user.stage, TrainStage)
    optimizer = make_optimizer(session.model, stage_options(session, user, user.stage))
    file = session.directory.folder(before[-1].name) / _FILE
    load_optimizer_state(file, session.model, optimizer)
    return optimizer


def hand_on(session: Session, step: Step, optimizer: Optimizer) -> None:
    """Write the optimizer's history where the next stage will look for it, if it will."""
    if _hands_on(session, step):
        save_optimizer_state(session.directory.folder(step.name) / _FILE, session.model, optimizer)


def _hands_on(session: Session, step: Step) -> bool:
    """A kept optimizer goes into the cut and out of it again."""
    if isinstance(step.stage, PruneStage):
        return step.stage.keep_optimizer
    after = _changing(session.steps[step.index + 1 :])
    following = after[0].stage if after else None
    return isinstance(following, PruneStage) and following.keep_optimizer


def _changing(steps: tuple[Step, ...]) -> list[Step]:
    return [step for step in steps if not isinstance(step.stage, MeasureStage)]
