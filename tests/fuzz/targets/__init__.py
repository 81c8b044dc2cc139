"""Everything that is fuzzed, by name."""

from collections.abc import Mapping

from tests.fuzz._target import Target
from tests.fuzz.targets import images, plans, recipes, weights

__all__ = ["TARGETS"]

TARGETS: Mapping[str, Target] = {**recipes.TARGETS, **plans.TARGETS, **weights.TARGETS, **images.TARGETS}
