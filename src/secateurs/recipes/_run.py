"""One recipe, carried out in one directory: started, interrupted, resumed, finished."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from secateurs import _distributed
from secateurs._files import write_json
from secateurs.data import SPLIT_FILE
from secateurs.graph import OUTLINE_FILE, tensors_of
from secateurs.recipes._config import Recipe
from secateurs.recipes._directory import RunDirectory, reason_of, unless_full
from secateurs.recipes._environment import commit, environment, versions
from secateurs.recipes._part import Part
from secateurs.recipes._pictures import draw_run, report_on
from secateurs.recipes._session import Session, open_session
from secateurs.recipes._summary import summarise
from secateurs.recipes._tracked import tracked, tracking_facts
from secateurs.recipes._weights import trained_on
from secateurs.recipes.stages import CHECKPOINT_FILE, Step, left_out
from secateurs.training import remove_checkpoint

__all__ = ["RunOptions", "run_once"]


def _silent(_line: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run, as opposed to what: none of it changes a result.

    Attributes:
        resume: go on with a directory that a run of the same recipe left; start where there is none.
        progress: show training's progress.
        notify: told what happens, one line at a time.
        checkpoint_minutes: longest time between two checkpoints of a training; each epoch ends with one anyway.
        on_epoch: called in the process that writes, with each row of metrics.jsonl once that is written; what it
            raises ends the run, which can be resumed. Not where `devices` starts processes of its own.
    """

    resume: bool = False
    progress: bool = False
    checkpoint_minutes: float = 10.0
    notify: Callable[[str], None] = _silent
    on_epoch: Callable[[Mapping[str, Any]], None] | None = None


def run_once(recipe: Recipe, out: Path, options: RunOptions, part: Part) -> dict[str, Any]:
    """Carry out a recipe without variants and seeds in `out`; returns what run.json holds.

    Args:
        part: what it is in its study.

    Raises:
        ConfigError: `out` is in use, or holds another recipe.
        SecateursError: whatever stopped a stage; run.json then says "failed" and why.
        Interrupted: a signal came; run.json then says "failed" and which, and training has been saved.
    """
    directory = RunDirectory.open(out, recipe.resolved(), resume=options.resume)
    if directory.finished:
        options.notify(f"{out} is finished already; nothing to do")
        return directory.state
    if _distributed.is_first():
        directory.on_epoch = options.on_epoch
    with _threads(recipe.threads):
        session = open_session(recipe, directory, part=part, notify=options.notify)
        session.checkpoint_minutes = options.checkpoint_minutes
        _begin(session)
        with _closing(session):
            with tracked(session):
                _carry_out(session)
            directory.end("finished")
        report_on(directory.path, options.notify)
    return directory.state


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """So many processor threads inside, the caller's number again afterwards."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(count or before)
        yield
    finally:
        torch.set_num_threads(before)


def _begin(session: Session) -> None:
    facts = {
        "name": session.recipe.name,
        "seed": session.recipe.seed,
        "commit": commit(),
        "versions": versions(),
        "environment": environment(session.device),
        **_about_classes(session),
        **tracking_facts(session),
    }
    steps = [{"name": step.name, "type": step.stage.type} for step in session.steps]
    session.directory.begin(session.recipe.resolved(), steps, facts)
    write_json(session.directory.path / OUTLINE_FILE, session.outline)
    if session.splits.division is not None:
        session.splits.division.save(session.directory.path / SPLIT_FILE)


def _about_classes(session: Session) -> dict[str, Any]:
    """The network, the classes that the run is about, what an epoch has, and what its weights were trained on."""
    subset, model = session.splits.subset, session.recipe.model
    before = None if model.weights is None else trained_on(model.weights)
    example = tuple(session.example().shape[1:])
    about: dict[str, Any] = {
        "network": model.name or model.factory,
        "made_for": {"classes": len(session.splits.all_classes), "shape": list(example)},
    }
    pace = session.recipe.batches.epoch_images
    if pace is not None:
        about["epoch_images"] = "+".join(map(str, pace)) if isinstance(pace, tuple) else pace
    if subset is not None:
        about |= {"subset": subset.name, "classes": list(subset.names)}
    return about if before is None else {**about, "trained_on": before}


@contextmanager
def _closing(session: Session) -> Iterator[None]:
    """Write into run.json what stopped the run, whatever it was."""
    try:
        yield
    except BaseException as error:
        with unless_full(session.notify):
            session.directory.end("failed", reason_of(error))
        raise


def _carry_out(session: Session) -> None:
    directory = session.directory
    done = [step for step in session.steps if directory.entry(step.name)["status"] == "finished"]
    if done:
        session.notify(f"resuming after {done[-1].name}")
        session.model, session.masks = session.restored(len(done)), session.restored_masks(len(done))
    for step in done:  # killed between the end of a stage and the removal of its checkpoint
        _close(session, step)
    for step in session.steps[len(done) :]:
        session.notify(f"{step.name}: {step.stage.describe()}")
        directory.start_step(step.name)
        with session.part.progress.stage(session.part.name, step.name):
            reason = left_out(session, step)
            told = {"left_out": reason} if reason is not None else step.stage.run(session, step)
            if step.stage.changes and reason is None:
                session.save_pictures(step)
            directory.finish_step(step.name, told)
        _close(session, step)
    results = {step.name: directory.entry(step.name)["results"] for step in session.steps}
    directory.state["summary"] = summarise(session.steps, results)
    directory.save()
    draw_run(directory.path, session.notify)


def _close(session: Session, step: Step) -> None:
    """The stage has its results: every rank has the same model, and finds what rank 0 wrote."""
    _distributed.check_same(f"the model after {step.name}", tensors_of(session.model))
    if _distributed.is_first():
        remove_checkpoint(session.directory.folder(step.name) / CHECKPOINT_FILE)
    _distributed.barrier()
