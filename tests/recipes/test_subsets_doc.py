"""The page on subsets shows recipes that are recipes."""

from pathlib import Path
from typing import Any

import pytest

from secateurs.recipes import parse
from secateurs.recipes._yaml import parse_yaml
from secateurs.recipes.stages import expand
from tests.recipes._studies import config

PAGE = Path(__file__).parents[2] / "docs" / "subsets.md"
BLOCKS = [block.partition("```")[0] for block in PAGE.read_text().split("```yaml\n")[1:]]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_list_of_stages_is_accepted(block: str) -> None:
    shown: dict[str, Any] = parse_yaml(block, where="docs/subsets.md")
    recipe = parse(config() | shown, source="docs/subsets.md")
    assert len(expand(recipe.stages)) >= 1


def test_there_are_as_many_as_jobs() -> None:
    assert len(BLOCKS) == 7
