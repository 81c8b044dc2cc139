"""Comparisons: one recipe in several variants, each with several seeds, every one an ordinary run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from secateurs import _distributed
from secateurs._files import remove_partial, write_json, write_text
from secateurs._signals import interruptible
from secateurs.recipes._comparison import comparison
from secateurs.recipes._config import Recipe, parse
from secateurs.recipes._directory import check_directory, reason_of, unless_full
from secateurs.recipes._launch import launch
from secateurs.recipes._lock import locked
from secateurs.recipes._outlook import Outlook, jobs_of
from secateurs.recipes._overrides import override
from secateurs.recipes._part import Part
from secateurs.recipes._pictures import draw_study
from secateurs.recipes._progress import StudyProgress
from secateurs.recipes._ranks import as_rank, starts_ranks
from secateurs.recipes._reuse import setting, take_over
from secateurs.recipes._run import RunOptions, run_once
from secateurs.recipes._yaml import dump_yaml
from secateurs.recipes.stages import expand
from secateurs.recipes.trackers import check_trackers, trackers_section, where_to_look

__all__ = ["Member", "members", "run"]


@dataclass(frozen=True, kw_only=True)
class Member:
    """One run of a study; it lies in DIR/variant/seed."""

    variant: str
    seed: int
    recipe: Recipe

    @property
    def folder(self) -> str:
        return f"{self.variant}/{self.seed}"


def run(recipe: Recipe, out: Path, options: RunOptions | None = None) -> dict[str, Any]:
    """Carry out a recipe in the directory `out`; returns what its run.json holds.

    Errors as `run_once`; with variants or seeds, the first run that fails stops the study, and resuming goes on
    with that run. Another run in the same directory is refused. With several `devices` this starts a process for
    each, unless torchrun has.
    """
    options = options or RunOptions()
    alone = recipe.variants is None and recipe.seeds is None
    for each in (recipe,) if alone else tuple(member.recipe for member in members(recipe)):
        check_trackers(trackers_section(each.trackers))
    if starts_ranks(recipe):
        return launch(recipe, out, options)
    with interruptible(), as_rank(recipe, out, options) as (out, options), locked(out, options.notify):
        state = _run_alone(recipe, out, options) if alone else _run_study(recipe, out, options)
    for place in where_to_look(trackers_section(recipe.trackers), out, study=not alone):
        options.notify(f"tracked: {place}")
    return state


def members(recipe: Recipe) -> tuple[Member, ...]:
    """Every run of the study, variants outermost. Without variants there is one, called `base`."""
    plain = {key: value for key, value in recipe.resolved().items() if key not in ("variants", "seeds")}
    found = []
    for variant, changes in (recipe.variants or {"base": {}}).items():
        # A variant may choose a seed of its own where the study does not.
        for seed in recipe.seeds or (override(plain, changes)["seed"],):
            config = override(plain, {**changes, "seed": seed})
            found.append(
                Member(variant=variant, seed=seed, recipe=parse(config, source=f"{recipe.name}, variant {variant}"))
            )
    return tuple(found)


def _run_alone(recipe: Recipe, out: Path, options: RunOptions) -> dict[str, Any]:
    progress = _progress([("", recipe)], out, options)
    with progress.showing():
        return run_once(recipe, out, options, Part(name="", home=out, progress=progress))


def _run_study(recipe: Recipe, out: Path, options: RunOptions) -> dict[str, Any]:
    config = recipe.resolved()
    state = _distributed.decided(lambda: check_directory(out, config, resume=options.resume))
    if state.get("status") == "finished":
        options.notify(f"{out} is finished already; nothing to do")
        return state
    remove_partial(out)
    study = members(recipe)
    runs = [{"variant": member.variant, "seed": member.seed, "path": member.folder} for member in study]
    state = {"name": recipe.name, "status": "running", "error": None, "runs": runs, "stages": [], "summary": {}}
    write_text(out / "config.yaml", dump_yaml(config))
    write_json(out / "run.json", state)
    progress = _progress([(member.folder, member.recipe) for member in study], out, options)
    try:
        with progress.showing():
            _run_members(study, state, out, options, progress)
    except BaseException as error:
        state |= {"status": "failed", "error": reason_of(error)}
        with unless_full(options.notify):
            write_json(out / "run.json", state)
        raise
    state["status"] = "finished"
    write_json(out / "run.json", state)
    draw_study(out, options.notify)
    return state


def _run_members(
    study: Sequence[Member], state: dict[str, Any], out: Path, options: RunOptions, progress: StudyProgress
) -> None:
    summaries: list[tuple[str, Mapping[str, Any]]] = []
    finished: dict[str, list[tuple[Recipe, Path]]] = {}  # by their setting: a grid may have thousands of runs
    for number, member in enumerate(study, start=1):
        options.notify(f"run {number} of {len(study)}: variant {member.variant}, seed {member.seed}")
        part = Part(name=member.folder, home=out, progress=progress)
        # Resuming starts what is not there yet, so the directories of a new study need no other mode.
        with locked(out / member.folder, options.notify):
            alike = finished.setdefault(setting(member.recipe), [])
            _take_over(member, out, alike, options)
            done = run_once(member.recipe, out / member.folder, replace(options, resume=True), part)
        alike.append((member.recipe, out / member.folder))
        summaries.append((member.variant, done["summary"]))
        state["summary"] = {"variants": comparison(summaries)}
        write_json(out / "run.json", state)


def _take_over(member: Member, out: Path, finished: Sequence[tuple[Recipe, Path]], options: RunOptions) -> None:
    if _distributed.is_first():
        told = take_over(member.recipe, out / member.folder, finished)
        if told is not None:
            options.notify(told)
    _distributed.barrier()


def _progress(runs: Sequence[tuple[str, Recipe]], out: Path, options: RunOptions) -> StudyProgress:
    """What follows these runs, (name, recipe) each; it knows what earlier processes have done."""
    jobs = [job for name, recipe in runs for job in jobs_of(name, expand(recipe.stages))]
    progress = StudyProgress(Outlook(jobs), shown=options.progress)
    for name, _ in runs:
        progress.recall(name, out / name)
    return progress
