"""Iterative pruning in levels: score, remove a share of what is left, train on, and again."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from secateurs.recipes._section import STRICT, Count, Ratio
from secateurs.recipes.stages._base import StageType
from secateurs.recipes.stages._level import LevelBase, LevelStage
from secateurs.recipes.stages._level_end import LevelEndStage
from secateurs.recipes.stages._level_files import Activations
from secateurs.recipes.stages._level_mask import LevelMaskStage
from secateurs.recipes.stages._level_weights import Counting, LevelWeightsStage
from secateurs.recipes.stages._measure import MeasureStage
from secateurs.recipes.stages._prune import CriterionSection
from secateurs.recipes.stages._retrain import RetrainSection
from secateurs.recipes.stages._unitmem import UNITMEM, UnitMemSection
from secateurs.selection import CountChoice, sparsities

__all__ = ["LevelsStage"]


class LevelsStage(BaseModel):
    """Levels of pruning, each followed by training from the weights as they are.

    Each level scores all units that one layer makes alone (filters and neurons, also those of a layer that adds to a
    residual sum), puts them into one order over all layers, and removes `ratio` of those that are left, rounded up.
    It is written out as stages; `secateurs.recipes._level_format` says what they leave behind.
    """

    model_config = STRICT
    type: Literal["levels"]
    ratio: Ratio = 0.05
    """Fraction of the units left that each level removes (`x`, in percent)."""
    density: Ratio = 0.39
    """Levels go on as long as at least this fraction of the units is left; 18 levels of 0.05 end at 60.28 %."""
    levels: Annotated[int, Field(ge=0)] | None = None
    """So many levels, whatever the density."""
    choice: CountChoice = "low"
    """The units with the lowest scores, the highest, half from each end (`hybrid`), or any by lot (`random`)."""
    criterion: str | CriterionSection = "unitmem"
    """Which units matter: a name, or a name with options."""
    mode: Literal["cut", "mask", "weights"] = "cut"
    """Units are really cut; or masked, with the norm behind them; or single weights are masked, by magnitude."""
    like: str | None = None
    """With mode `weights`: the variant of this study that comes before, or the pruned_indices.json, whose units have as
    many weights."""
    counting: Counting = "once"
    """With mode `weights`: `once` counts the weights that a cut of these units removes, `listed` as the published code:
    a layer's inputs and the next layer's outputs, whatever is gone already."""
    protect: tuple[str, ...] = ()
    """Patterns of layers or axes that stay whole, such as the layer that reads the images."""
    kinds: tuple[str, ...] | None = None
    """Only axes of these kinds lose units; None for all."""
    floor: Count = 2
    """Units that every layer keeps at least. The published code may empty layers; no tensor can be cut to nothing, and
    of a branch with a single unit a trace no longer tells which place of the stream it goes to."""
    verify: bool = True
    """With mode `cut`: prove that each cut model equals the masked dense one."""
    observe: bool = True
    """Measure UnitMem at each level, also where something else decides."""
    unitmem: UnitMemSection = Field(default_factory=UnitMemSection)
    """On which images UnitMem is measured, and how."""
    activations: Activations = "none"
    """Keep all mean activations too, as safetensors or as JSON, which is ten times as large."""
    latency: bool = False
    """Measure latency and cost after each level."""
    train: RetrainSection = Field(default_factory=RetrainSection)
    """How it trains after each level: patience waits for *validation* accuracy."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.mode == "weights") != (self.like is not None):
            raise ValueError("`like` with mode `weights`, and only then")
        if self.mode == "weights" and self.choice != "low":
            raise ValueError("choice `low` with mode `weights`, because the smallest weights go")
        if self._decides and self.criterion_section.options:
            raise ValueError("options of criterion unitmem in `unitmem`, where levels keep them")
        if self.activations != "none" and not (self.observe or self._decides):
            raise ValueError("`activations` with `observe`, because they are what UnitMem is made of")
        return self

    @property
    def criterion_section(self) -> CriterionSection:
        """The criterion in its long form."""
        return CriterionSection(name=self.criterion) if isinstance(self.criterion, str) else self.criterion

    @property
    def _decides(self) -> bool:
        return self.mode != "weights" and self.choice != "random" and self.criterion_section.name == UNITMEM

    def stages(self) -> Iterator[StageType]:
        """What it is written out as."""
        for level, target in enumerate(self._targets()):
            yield self._level(level, target)
            yield self.train.stage()
            yield LevelEndStage(type="level_end", level=level, activations=self.activations)
            if self.latency:
                yield MeasureStage(type="measure")

    def _targets(self) -> tuple[float, ...]:
        if self.levels is None:
            return sparsities(self.ratio, density=self.density)
        return tuple(round(100 * (1 - (1 - self.ratio) ** level), 2) for level in range(1, self.levels + 1))

    def _level(self, level: int, target: float) -> LevelBase:
        common: dict[str, Any] = {
            "level": level,
            "target": target,
            "ratio": self.ratio,
            "criterion": self.criterion_section,
            "choice": self.choice,
            "protect": self.protect,
            "kinds": self.kinds,
            "floor": self.floor,
            "unitmem": self.unitmem if self.observe or self._decides else None,
            "activations": self.activations != "none",
        }
        if self.mode == "cut":
            return LevelStage(type="level", verify=self.verify, **common)
        if self.mode == "mask":
            return LevelMaskStage(type="level_mask", **common)
        return LevelWeightsStage(type="level_weights", like=str(self.like), counting=self.counting, **common)
