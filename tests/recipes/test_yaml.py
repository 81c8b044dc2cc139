"""YAML files and overrides: what they mean, and where they are wrong."""

from pathlib import Path
from typing import Any

import pytest

from secateurs import SecateursError
from secateurs.recipes import find_recipe, parse, parse_override, parse_yaml, read_yaml, ready_recipes
from secateurs.recipes._overrides import override
from secateurs.recipes._yaml import dump_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [("a: 1e-3", {"a": 1e-3}), ("a: -2E+4", {"a": -2e4}), ("a: 1.5e3", {"a": 1500.0}), ("a: 1e", {"a": "1e"})],
)
def test_numbers_with_an_exponent_are_numbers(text: str, value: Any) -> None:
    assert parse_yaml(text, where="x") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1, 2\n", r"^f\.yaml, line 3, column 1: wanted YAML"),
        ("a: 1\nb: 2\na: 3\n", r"^f\.yaml, line 3, column 1: .*'a' stands here twice"),
        ("a: !!python/object/apply:os.system [ls]", r"line 1, column 4: .*could not determine a constructor"),
        ("? [1]\n: 2", "a key must be plain text"),
        ("\ta: 1", r"line 1, column 1"),
    ],
)
def test_syntax_errors_name_their_line(text: str, message: str) -> None:
    with pytest.raises(SecateursError, match=message):
        parse_yaml(text, where="f.yaml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SecateursError, match=r"bad\.yaml: wanted UTF-8 text"):
        read_yaml(tmp_path / "bad.yaml")


def test_dumped_values_are_read_back() -> None:
    value = {"b": [1, 2.5, None, True], "a": {"name": "é", "empty": {}}}
    assert parse_yaml(dump_yaml(value), where="x") == value


def test_overrides_reach_into_lists_and_make_what_is_missing() -> None:
    changes = dict(map(parse_override, ["stages.1.lr=1e-2", "data.limit=5", "seeds=[1, 2]", "name=a=b"]))
    config = override({"stages": [{"lr": 1}, {"lr": 2}]}, changes)
    assert config == {"stages": [{"lr": 1}, {"lr": 0.01}], "data": {"limit": 5}, "seeds": [1, 2], "name": "a=b"}


@pytest.mark.parametrize("text", ["epochs", "=3", "a..b=3", ".a=3"])
def test_an_override_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(SecateursError, match=r"wanted KEY\.KEY=VALUE"):
        parse_override(text)


def test_every_ready_recipe_is_valid_and_says_what_it_does() -> None:
    recipes = ready_recipes()
    assert "quickstart" in {recipe.name for recipe in recipes}
    for ready in recipes:
        config = override(read_yaml(ready.path), {"data.path": None, "data.name": "digits"})
        recipe = parse(config, source=str(ready.path))
        assert recipe.name == ready.name
        assert ready.description
        assert "\n" not in ready.description


def test_recipes_are_found_by_path_and_by_bare_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\n")
    assert find_recipe(str(file)) == file
    assert find_recipe("quickstart").name == "quickstart.yaml"
    with pytest.raises(SecateursError, match="Did you mean 'quickstart'"):
        find_recipe("quickstrat")
    with pytest.raises(SecateursError, match="got a directory"):
        find_recipe(str(tmp_path))
