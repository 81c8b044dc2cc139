"""Recipes: YAML text, values, overrides."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from secateurs.recipes import Recipe, parse, parse_override, parse_yaml, read_yaml, ready_recipes
from secateurs.recipes._yaml import dump_yaml
from secateurs.recipes.stages import expand
from tests.fuzz._bytes import damaged
from tests.fuzz._target import Target
from tests.fuzz._trees import ODD, Tree, damaged_tree, odd

__all__ = ["TARGETS"]

_FULL = """
name: all
description: every kind of section
model: {name: mlp, options: {widths: [32, 16], size: 8}}
data: {name: digits, limit: 300, validation_ratio: 0.2, mean: [0.5], std: [0.5]}
batches: {size: 32, crop: 1, flip: true}
seed: 3
device: cpu
threads: 1
stages:
  - {type: train, epochs: 2, lr: 1e-2, schedule: step, milestones: [1]}
  - type: repeat
    times: 2
    stages: [{type: prune, remove: {macs: 0.3}, criterion: {name: magnitude, options: {p: 1}}}]
  - {type: prune, name: more, scope: {conv1: 0.5}, protect: ["fc*"], floor: 0.1, multiple_of: 8, kinds: [channel]}
  - {type: measure, batch_sizes: [1, 8], latency: false}
variants: {plain: {}, wide: {"model.options.widths": [64]}}
seeds: [0, 1]
"""
_LAUGHS = "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 60))])
_MERGES = "\n".join(["m0: &m0 {a: 1}", *(f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}]}}" for n in range(1, 60))])
_TEXTS = [ready.path.read_bytes() for ready in ready_recipes()]
_BOMBS = [
    _LAUGHS.encode(),
    _MERGES.encode(),
    b"[" * 20_000,
    b"a: " * 5_000,
    b"- " * 20_000,
    b"{a: " * 3_000,
    b"&a " * 300 + b"x",
    b"? " * 5_000,
    b"a: &a [*a]",
    b"a: 0x" + b"f" * 9_000,
    b"a: 2024-99-99",
    b"seed: !!int x\nlr: !!float y\nz: !!bool q\nb: !!binary '*'\ns: !!set {a, b}",
    b"%YAML 9.9\n---\na: 1",
    b"---\na: 1\n---\nb: 2",
    b"",
    b"null",
]
_VALUES: list[Any] = [parse_yaml(text.decode(), where="x") for text in (*_TEXTS, _FULL.encode())]


def _taken(recipe: Recipe, folder: Path) -> None:
    """It says the same again, and its folders lie in the run directory."""
    plain = recipe.resolved()
    assert parse(parse_yaml(dump_yaml(plain), where="again"), source="again") == recipe
    for step in expand(recipe.stages):
        assert (folder / "stages" / step.name).resolve().parent == (folder / "stages").resolve()
        assert step.name.isascii()
        assert len(step.name) < 250
    for variant in recipe.variants or {}:
        assert (folder / variant).resolve().parent == folder.resolve()
    (folder / recipe.name).mkdir()


def _text(content: bytes, folder: Path) -> None:
    file = folder / "recipe.yaml"
    file.write_bytes(content)
    _taken(parse(read_yaml(file), source="recipe.yaml"), folder)


def _value(case: Tree, folder: Path) -> None:
    _taken(parse(case.value(), source="recipe.yaml"), folder)


def _override(case: tuple[int, list[str]], folder: Path) -> None:
    number, texts = case
    changes = dict(map(parse_override, texts))
    _taken(parse(_VALUES[number], source="recipe.yaml", changes=changes), folder)


def _paths(tree: Any, prefix: str = "") -> list[str]:
    """Every dotted path of a recipe."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for key, value in pairs for path in (f"{prefix}{key}", *_paths(value, f"{prefix}{key}."))]


def _written(value: Any) -> str:
    try:
        return dump_yaml(value)[:2000] if not isinstance(value, str) else value[:2000]
    except (ValueError, RecursionError):  # too many digits, or too deep, for PyYAML to write
        return "9" * 5000


_KEYS = sorted({path for value in _VALUES for path in _paths(value)})
_OTHER_KEYS = ("", ".", "a..b", "stages.-1", "stages.٣", "stages.99.lr", "__class__", "name.x", "stages.0.0.0")
_HOSTILE_KEYS = (".".join("a" * 2000), "stages." + "9" * 5000, "variants.x/y", "data.path", "data.name", "\0")
_TEXT_VALUES = ("[" * 3000, "{a: " * 3000, "*a", "&a [*a]", "!!int", "a: b: c", "0x" + "f" * 5000, "1e400", "./x")
_OTHER_VALUES = (*(_written(odd(number)) for number in range(len(ODD))), *_TEXT_VALUES, "owner/name", "1", "0.5", "2")

_MILD = ("1", "2", "0.5", "true", "null", "1e-2", "sgd", "[1, 2]", "[]", "{}", "mlp", "name", "16", "30000000000")
_OVERRIDES = st.tuples(
    st.integers(0, len(_VALUES) - 1),
    st.lists(
        st.one_of(
            st.builds("{}={}".format, st.sampled_from(_KEYS), st.sampled_from(_MILD)),
            st.builds(
                "{}={}".format, st.sampled_from([*_KEYS, *_OTHER_KEYS, *_HOSTILE_KEYS]), st.sampled_from(_OTHER_VALUES)
            ),
            st.text(max_size=30),
        ),
        max_size=3,
    ),
)

TARGETS: Mapping[str, Target] = {
    "recipe text": Target(
        cases=st.one_of(damaged([*_TEXTS, _FULL.encode()]), damaged(_BOMBS, most=2)), check=_text, fast=60
    ),
    "recipe values": Target(cases=damaged_tree(_VALUES), check=_value),
    "recipe overrides": Target(cases=_OVERRIDES, check=_override),
}
