"""How a cut chooses its units, whatever says how many go; and the choice itself."""

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, Field, model_validator
from torch import Tensor

from secateurs import _distributed, criteria
from secateurs.graph import Graph, Plan
from secateurs.recipes._section import STRICT, Count, Ratio
from secateurs.recipes._seeds import stage_seed
from secateurs.recipes.stages._base import Step
from secateurs.selection import GroupFloors, Per, group_floors, select

if TYPE_CHECKING:
    from secateurs.recipes._session import Session

__all__ = [
    "Amount",
    "Budgeted",
    "Choice",
    "CriterionSection",
    "CutOptions",
    "CutSection",
    "Scope",
    "chosen_scores",
    "rules_of",
    "scores_of",
    "selected",
]

Choice = Literal["bottom", "top", "random"]
Scope: TypeAlias = Literal["global", "layerwise"] | dict[str, float]
Amount: TypeAlias = Literal["macs", "params", "bytes", "units"]
Budgeted: TypeAlias = Literal["macs", "params", "bytes", "units", "latency"]


class CriterionSection(BaseModel):
    """A criterion with options, such as `{name: magnitude, options: {p: 1}}`."""

    model_config = STRICT
    name: str
    """One of `secateurs.criteria.names()`."""
    options: dict[str, Any] = Field(default_factory=dict)


class CutOptions(BaseModel):
    """Which units go, and which stay whatever their scores."""

    model_config = STRICT
    criterion: str | CriterionSection = "magnitude"
    """Which units matter: a name, or a name with options."""
    choice: Choice = "bottom"
    """Which units go: those with the lowest scores, those with the highest, to see what scores are worth, or any, by
    lot and without scores."""
    protect: tuple[str, ...] = ()
    """Patterns of axes that stay whole, such as `fc*`."""
    floor: Count | Ratio | dict[str, Count | Ratio] = 1
    """Units that every axis keeps at least, or the fraction of them; or axis names or patterns with such floors."""
    group_floors: GroupFloors | None = None
    """Instead of `floor`, those of published subset-aware pruning, which keep residual networks wide: `adapt` as the
    paper's tool has them, `pruners` as its later library."""
    cap: Ratio | dict[str, Ratio] | None = None
    """The fraction of every axis that goes at most; or axis names or patterns with such fractions."""
    multiple_of: Count = 1
    """Kept sizes are multiples of this, the nearest."""
    per: Per | None = None
    """Compare scores by what units cost (`macs` or `params`, as the model is once all units before are gone), so that
    the least importance goes for what is saved; only with the scope `global`."""
    kinds: tuple[str, ...] | None = None
    """Only axes of these kinds are cut."""
    verify: bool = True
    """Prove that the cut model equals the masked dense one."""

    @model_validator(mode="after")
    def _one_floor(self) -> Self:
        if self.group_floors is not None and self.floor != 1:
            raise ValueError("`floor` or `group_floors`, not both")
        return self

    @property
    def criterion_section(self) -> CriterionSection:
        """The criterion that gives the scores, in its long form."""
        if self.choice == "random":
            return CriterionSection(name="random")
        return CriterionSection(name=self.criterion) if isinstance(self.criterion, str) else self.criterion

    def check(self) -> None:
        """There is such a criterion with such options."""
        criteria.build(self.criterion_section.name, **self.criterion_section.options)


class CutSection(CutOptions):
    """Every option of `prune` but how much is removed, where the stage around it says that."""

    scope: Literal["global", "layerwise"] = "global"
    """Compare units over the whole model, or take the same share of every axis."""


def scores_of(session: "Session", step: Step, options: CutOptions, graph: Graph) -> criteria.Scores:
    """The scores of all units, the same on every rank; looks at the training images where the criterion does."""
    section = options.criterion_section
    own = dict(section.options)
    if hasattr(criteria.build(section.name, **own), "seed"):
        # Another seed of the recipe is another draw, unless the recipe says which.
        own.setdefault("seed", stage_seed(session.recipe.seed, step.index))
    criterion = criteria.build(section.name, **own)
    images = session.evaluation_batches(session.splits.train, whole=not criterion.reduces)
    batches, loss = session.objective.for_scores(images)
    scores = criterion(graph, batches=batches, loss=loss)
    _distributed.check_close(f"scores of criterion {section.name!r}", scores)
    return scores


def selected(
    graph: Graph,
    scores: criteria.Scores,
    options: CutOptions,
    remove: Mapping[str, float | Fraction] | None,
    scope: Scope,
) -> Plan:
    """The plan that removes so much."""
    return select(graph, chosen_scores(scores, options), remove, scope=scope, **rules_of(graph, options, remove))


def chosen_scores(scores: criteria.Scores, options: CutOptions) -> Mapping[str, Tensor]:
    """With their signs turned where the highest go."""
    return {name: -values for name, values in scores.items()} if options.choice == "top" else scores


def rules_of(graph: Graph, options: CutOptions, remove: Mapping[str, float | Fraction] | None) -> dict[str, Any]:
    """The options of `select` but scores, budget and scope."""
    floor = options.floor
    return {
        "protect": options.protect,
        "floor": floor if options.group_floors is None else _group_floors(graph, options.group_floors, remove or {}),
        "cap": options.cap,
        "multiple_of": options.multiple_of,
        "per": options.per,
        "kinds": options.kinds,
    }


def _group_floors(graph: Graph, rule: GroupFloors, remove: Mapping[str, float | Fraction]) -> dict[str, int]:
    (ratio,) = remove.values()
    return group_floors(graph, float(ratio), rule)
