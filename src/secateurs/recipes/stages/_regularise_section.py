"""Sparse training, as recipes ask for it."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field

from secateurs.graph import trace
from secateurs.recipes._planned import planned
from secateurs.recipes._section import STRICT, Count, Ratio
from secateurs.recipes.stages._base import Step
from secateurs.recipes.stages._cut_options import Amount, CutSection, scores_of, selected
from secateurs.sparsity import GroupLasso, Growing, Penalty, ScaleLasso

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = ["RegulariseSection"]

_Positive: TypeAlias = Annotated[float, Field(gt=0)]


class _Axes(BaseModel):
    """Which axes take part."""

    model_config = STRICT
    protect: tuple[str, ...] = ()
    """Patterns of axes whose units are left alone."""
    kinds: tuple[str, ...] | None = None
    """Only units of axes of these kinds are drawn to zero."""


class GroupLassoSection(_Axes):
    """Draw all that goes with a unit to zero together (Yuan and Lin, 2006; Wen et al., 2016)."""

    kind: Literal["group_lasso"]
    strength: _Positive = 1e-4
    """Of the penalty."""
    by_size: bool = True
    """Weight each unit by the square root of how many parameters go with it."""
    over: Literal["all", "produce"] = "all"
    """All parameters that go with a unit, or the weights that produce it alone."""

    def penalty(self, session: "Session", step: Step) -> Penalty:  # noqa: ARG002 - as its siblings
        """For the network as it is."""
        options = {name: getattr(self, name) for name in ("strength", "by_size", "over", "protect", "kinds")}
        return GroupLasso(**options).on(trace(session.model, args=(session.example(),)))


class ScaleLassoSection(_Axes):
    """Draw the scales of norms to zero (Liu et al., 2017)."""

    kind: Literal["bn_scale"]
    strength: _Positive = 1e-4
    """Of the penalty."""

    def penalty(self, session: "Session", step: Step) -> Penalty:  # noqa: ARG002 - as its siblings
        """For the network as it is."""
        lasso = ScaleLasso(strength=self.strength, protect=self.protect, kinds=self.kinds)
        return lasso.on(trace(session.model, args=(session.example(),)))


class GrowingSection(BaseModel):
    """Press the units that a cut would choose now, harder and harder (Wang et al., 2021)."""

    model_config = STRICT
    kind: Literal["growing"]
    remove: dict[Amount, Ratio] | None = None
    """How much the chosen units cost, as in `prune`; None presses all units alike."""
    cut: CutSection = Field(default_factory=CutSection)
    """How they are chosen, once, before the training: every option of `prune`. Give the cut afterwards the same."""
    increment: _Positive = 1e-4
    """Added to the factor every so many steps."""
    every: Count = 10
    """Steps."""
    limit: _Positive = 1.0
    """Of the factor."""

    def penalty(self, session: "Session", step: Step) -> Penalty:
        """For the network as it is."""
        graph, cut = trace(session.model, args=(session.example(),)), self.cut
        growing = Growing(
            increment=self.increment, every=self.every, limit=self.limit, protect=cut.protect, kinds=cut.kinds
        )
        if self.remove is None:
            return growing.on(graph)
        scores, remove = scores_of(session, step, cut, graph), {str(name): ratio for name, ratio in self.remove.items()}
        return growing.on(graph, planned(lambda: selected(graph, scores, cut, remove, cut.scope)))


RegulariseSection: TypeAlias = Annotated[
    GroupLassoSection | ScaleLassoSection | GrowingSection, Field(discriminator="kind")
]
"""One row for each kind."""
