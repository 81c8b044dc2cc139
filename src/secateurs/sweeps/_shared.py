"""Stages that trials have in common are carried out once: a cut of half and a cut of a third follow one training."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from secateurs.recipes import Recipe, common_steps, setting

__all__ = ["SharedStages"]

_LOOKED_AT = 50
"""Of the finished runs that may have something to share, so many of the latest."""


class SharedStages:
    """The finished runs of a sweep, by what a run may take over from them."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._runs: defaultdict[str, list[tuple[Recipe, str]]] = defaultdict(list)

    def add(self, path: str, recipe: Recipe) -> None:
        """This run has finished."""
        self._runs[setting(recipe)].append((recipe, path))

    def source(self, recipe: Recipe) -> tuple[Mapping[str, Any], str] | None:
        """(resolved recipe, directory) of the finished run with most stages that `recipe` begins with too."""
        known = self._runs[setting(recipe)][-_LOOKED_AT:]
        pairs = [
            (sum(step.stage.changes for step in common_steps(recipe, other)), other, path) for other, path in known
        ]
        best = max(pairs, key=lambda pair: pair[0], default=None)
        return None if best is None or not best[0] else (best[1].resolved(), str(self._home / best[2]))
