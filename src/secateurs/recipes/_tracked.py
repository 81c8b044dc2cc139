"""A run and its trackers, from the first epoch to the summary."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from secateurs import _distributed
from secateurs.recipes._directory import RunDirectory
from secateurs.recipes._session import Session
from secateurs.recipes.trackers import About, new_id, open_tracking, trackers_section

__all__ = ["tracked", "tracking_facts"]


def tracking_facts(session: Session) -> dict[str, Any]:
    """What run.json says about trackers: the id that the run has in all of them; nothing where it has none."""
    if not trackers_section(session.recipe.trackers).names:
        return {}
    return {"trackers": {"id": _old_id(session.directory) or new_id()}}


@contextmanager
def tracked(session: Session) -> Iterator[None]:
    """Inside, trackers are told of everything that the run directory notes, and of what it held already."""
    section, directory = trackers_section(session.recipe.trackers), session.directory
    if not section.names or not _distributed.is_first():
        yield
        return
    home, part = session.part.home.resolve(), session.part.name
    about = About(
        id=directory.state["trackers"]["id"],
        name=f"{home.name}/{part}" if part else home.name,
        study=session.recipe.name,
        part=part,
        config=session.recipe.resolved(),
        folder=directory.path.resolve(),
        home=home,
    )
    tracking = open_tracking(section, about, session.steps, session.notify)
    tracking.catch_up(directory.epochs, directory.state["stages"])
    directory.listener = tracking
    try:
        yield
    except BaseException:
        tracking.close("failed")
        raise
    tracking.summary(directory.state["summary"])
    tracking.close("finished")


def _old_id(directory: RunDirectory) -> str | None:
    said = directory.state.get("trackers")
    found = said.get("id") if isinstance(said, dict) else None
    return found if isinstance(found, str) and found.isalnum() else None
