"""Everything that is fuzzed, by name."""

from collections.abc import Mapping

from tests.fuzz._target import Target
from tests.fuzz.targets import checkpoints, images, plans, recipes, weights

__all__ = ["TARGETS"]

TARGETS: Mapping[str, Target] = {
    **recipes.TARGETS,
    **plans.TARGETS,
    **weights.TARGETS,
    **images.TARGETS,
    **checkpoints.TARGETS,
}
