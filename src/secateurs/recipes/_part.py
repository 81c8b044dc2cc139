"""A run's place in the study that it belongs to."""

from dataclasses import dataclass
from pathlib import Path

from secateurs.recipes._progress import StudyProgress

__all__ = ["Part"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a run knows of its study; a run alone is a study of one.

    Attributes:
        name: `variant/seed`, empty for a run alone.
        home: the study's directory.
        progress: follows all runs of the study.
    """

    name: str
    home: Path
    progress: StudyProgress
