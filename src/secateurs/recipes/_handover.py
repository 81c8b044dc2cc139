"""Optimizers handed from stage to stage, always through a file: a resumed run and an uninterrupted one do the same."""

from typing import TYPE_CHECKING

from torch.optim import Optimizer

from secateurs.recipes._optimizer import load_optimizer_state, save_optimizer_state

if TYPE_CHECKING:
    from secateurs.recipes._session import Session
    from secateurs.recipes.stages import Step

__all__ = ["hand_on", "held_optimizer"]

_FILE = "optimizer.safetensors"


def held_optimizer(session: "Session", step: "Step") -> Optimizer | None:
    """The optimizer that the stage before handed on, over the model as it is now; None where it handed on none."""
    before = _changing(session.steps[: step.index])
    if not before or not _hands_on(session, before[-1]):
        return None
    # Its settings are those of the stage that uses it; the history alone is carried over.
    for user in (step, *reversed(before)):
        optimizer = user.stage.optimizer_over(session, user)
        if optimizer is not None:
            file = session.directory.folder(before[-1].name) / _FILE
            load_optimizer_state(file, session.model, optimizer)
            return optimizer
    return None


def hand_on(session: "Session", step: "Step", optimizer: Optimizer) -> None:
    """Write the optimizer's history where the next stage will look for it, if it will."""
    if _hands_on(session, step):
        save_optimizer_state(session.directory.folder(step.name) / _FILE, session.model, optimizer)


def _hands_on(session: "Session", step: "Step") -> bool:
    """A kept optimizer goes into the cut and out of it again."""
    if step.stage.cuts:
        return step.stage.hands_on
    after = _changing(session.steps[step.index + 1 :])
    return bool(after) and after[0].stage.cuts and after[0].stage.hands_on


def _changing(steps: "tuple[Step, ...]") -> "list[Step]":
    return [step for step in steps if step.stage.changes]
