"""What a training may be told beside its labels: a penalty before a cut, a teacher after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic.dataclasses import dataclass as checked_dataclass
from torch import nn

from secateurs._errors import ConfigError
from secateurs.recipes._section import STRICT_DATACLASS
from secateurs.recipes.stages._base import Step
from secateurs.recipes.stages._distil_section import DistilSection
from secateurs.recipes.stages._regularise_section import RegulariseSection
from secateurs.sparsity import Penalty
from secateurs.training import Objective, Penalised

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["Guidance", "check_guidance"]


@checked_dataclass(frozen=True, kw_only=True, config=STRICT_DATACLASS)
class Guidance:
    """Options of every stage that trains, beside those of the training room."""

    regularise: RegulariseSection | None = None
    """Sparse training: draw units to zero, so that the cut afterwards takes little away."""
    distil: DistilSection | None = None
    """Learn from another network too, by default from the one before the cut."""

    @property
    def guidance(self) -> dict[str, Any]:
        """Both, by name."""
        return {"regularise": self.regularise, "distil": self.distil}

    def penalty_in(self, session: "Session", step: Step) -> Penalty | None:
        """For the network of the run as it is."""
        return None if self.regularise is None else self.regularise.penalty(session, step)

    @contextmanager
    def guided(
        self,
        session: "Session",
        step: Step,
        objective: Objective,
        *,
        penalty: Penalty | None = None,
        student: nn.Module | None = None,
        teacher: nn.Module | None = None,
    ) -> Iterator[Objective]:
        """The objective with all that is asked for.

        Args:
            penalty: from `penalty_in`, made while the network was plain.
            student, teacher: in the place of the run's networks.
        """
        if penalty is not None:
            objective = Penalised(objective, penalty)
        if self.distil is None:
            yield objective
            return
        student = session.model if student is None else student
        with self.distil.taught(session, step, objective, student=student, teacher=teacher) as taught:
            yield taught


def check_guidance(stage: Any, where: str) -> None:
    """Try what it names, and refuse what cannot be done with parts of a network.

    Raises:
        ConfigError: no such weights for a teacher; a penalty or features with strategy 'fsdp'.
    """
    if stage.distil is not None:
        stage.distil.check(where)
    asked = [name for name in ("regularise", "distil.features") if _asked(stage, name)]
    if stage.strategy == "fsdp" and asked:
        cure = "Leave it out, or take strategy 'ddp'."
        raise ConfigError(f"{where}.strategy", wanted=f"'ddp' with {asked[0]}", got="'fsdp'", cure=cure)


def _asked(stage: Any, name: str) -> bool:
    first, _, rest = name.partition(".")
    value = getattr(stage, first)
    return value is not None and (not rest or getattr(value, rest) is not None)
