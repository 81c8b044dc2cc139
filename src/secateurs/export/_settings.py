"""Which settings of a model's config give which sizes: found by changing one at a time and looking."""

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import torch
from torch import nn

from secateurs.export._sizes import Key, sizes_of

__all__ = ["Field", "Obstacle", "Settings", "fitting"]

_MOST_TRIES = 64


@dataclass(frozen=True, kw_only=True)
class Field:
    """An integer of a config: the attributes that lead to it, and its place in a list, if it is in one."""

    path: tuple[str, ...]
    index: int | None = None

    def __str__(self) -> str:
        return ".".join(self.path) + ("" if self.index is None else f"[{self.index}]")

    def value(self, config: Any) -> int:
        """Its value."""
        for name in self.path:
            config = getattr(config, name)
        return int(config if self.index is None else config[self.index])

    def changed(self, config: Any, value: int) -> Any:
        """A copy of the config with another value."""
        made = copy.deepcopy(config)
        holder = made
        for name in self.path[:-1]:
            holder = getattr(holder, name)
        new: Any = value
        if self.index is not None:
            old = list(getattr(holder, self.path[-1]))
            old[self.index] = value
            new = type(getattr(holder, self.path[-1]))(old)
        setattr(holder, self.path[-1], new)
        return made


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why no settings give the sizes: places, the field that is nearest to them, and the values that it would need."""

    missing: Mapping[Key, tuple[int | None, int]]
    field: Field | None
    values: Mapping[int, tuple[Key, ...]]


_Nearest: TypeAlias = list[tuple[int, Obstacle]]
"""What was in the way, with the number of places that did not fit."""


class Settings:
    """A class of models and a config, tried out on the meta device, where nothing is computed."""

    def __init__(self, make: Callable[[Any], nn.Module], config: Any) -> None:
        self._make, self.config = make, config
        self._known: dict[str, dict[Key, int] | None] = {}

    def sizes(self, config: Any) -> dict[Key, int] | None:
        """The sizes that a config gives; None where its class refuses it."""
        name = repr(sorted((str(field), field.value(config)) for field in fields_of(config)))
        if name not in self._known:
            try:
                with torch.device("meta"), torch.no_grad():
                    self._known[name] = sizes_of(self._make(copy.deepcopy(config)))
            except Exception:  # noqa: BLE001 - code of any class, asked for what makes no sense
                self._known[name] = None
        return self._known[name]

    def effect(self, config: Any, field: Field) -> tuple[int, dict[Key, int], dict[Key, int]] | None:
        """Change one field, by a little or to twice or half of it: the new value, and the sizes before and after.

        None where no such change is accepted, or it makes another set of tensors.
        """
        value, before = field.value(config), self.sizes(config)
        for new in (2 * value, value // 2, value + 1, value - 1):
            after = self.sizes(field.changed(config, new)) if new > 0 and new != value else None
            if before is not None and after is not None and _tensors(before) == _tensors(after):
                return new, before, after
        return None


def fields_of(config: Any, path: tuple[str, ...] = ()) -> Iterator[Field]:
    """All positive integers in a config, also in lists of it and in configs that it holds."""
    for name, value in vars(config).items():
        if name.startswith("_"):
            continue
        if type(value) is int and value > 0:
            yield Field(path=(*path, name))
        elif isinstance(value, (list, tuple)):
            places = (place for place, item in enumerate(value) if type(item) is int and item > 0)
            yield from (Field(path=(*path, name), index=place) for place in places)
        elif hasattr(value, "to_dict") and hasattr(value, "__dict__"):
            yield from fields_of(value, (*path, name))


def fitting(settings: Settings, wanted: Mapping[Key, int]) -> Iterator[Any | Obstacle]:
    """Configs that give the wanted sizes, the likeliest first; at the end, what was in the way where there was none."""
    tries = iter(range(_MOST_TRIES))
    nearest: _Nearest = []
    found = False
    for config in _search(settings, settings.config, wanted, tries, nearest):
        found = True
        yield config
    if not found and nearest:
        yield min(nearest, key=lambda entry: entry[0])[1]


def _search(
    settings: Settings,
    config: Any,
    wanted: Mapping[Key, int],
    tries: Iterator[int],
    nearest: list[tuple[int, Obstacle]],
) -> Iterator[Any]:
    if next(tries, None) is None:
        return
    sizes = settings.sizes(config)
    if sizes is None:
        return
    missing = {key: (sizes.get(key), size) for key, size in wanted.items() if sizes.get(key) != size}
    if not missing:
        yield config
        return
    candidates, obstacle = _candidates(settings, config, wanted, missing)
    nearest.append((len(missing), obstacle))
    for field, value in candidates:
        changed = field.changed(config, value)
        after = settings.sizes(changed)
        left = None if after is None else sum(after.get(key) != size for key, size in wanted.items())
        if left is not None and left < len(missing):
            yield from _search(settings, changed, wanted, tries, nearest)


def _candidates(
    settings: Settings, config: Any, wanted: Mapping[Key, int], missing: Mapping[Key, tuple[int | None, int]]
) -> tuple[list[tuple[Field, int]], Obstacle]:
    """Fields with the value that they would need, those that mend most places first; and what is in their way."""
    rated: list[tuple[int, Field, int]] = []
    obstacle, most = Obstacle(missing=missing, field=None, values={}), 0
    for field in fields_of(config):
        needed = _needed(settings, config, field, wanted)
        mends = {value: sum(key in missing for key in keys) for value, keys in needed.items()}
        rated += [(count, field, value) for value, count in mends.items() if count and value != field.value(config)]
        if len(needed) > 1 and sum(mends.values()) > most:
            most = sum(mends.values())
            obstacle = Obstacle(missing=missing, field=field, values=needed)
    rated.sort(key=lambda entry: -entry[0])
    return [(field, value) for _, field, value in rated], obstacle


def _needed(settings: Settings, config: Any, field: Field, wanted: Mapping[Key, int]) -> dict[int, tuple[Key, ...]]:
    """The values of a field that would give the wanted sizes, each with the places that ask for it."""
    effect = settings.effect(config, field)
    if effect is None:
        return {}
    new, before, after = effect
    value = field.value(config)
    asked: dict[int, list[Key]] = defaultdict(list)
    for key, size in wanted.items():
        if before.get(key) is None or before[key] == after.get(key, before[key]):
            continue
        # Sizes grow in proportion to what they are made from, or are that plus something.
        slope = Fraction(after[key] - before[key], new - value)
        solved = value + (size - before[key]) / slope
        if solved.denominator == 1 and solved > 0:
            asked[int(solved)].append(key)
    return {each: tuple(keys) for each, keys in asked.items()}


def _tensors(sizes: Mapping[Key, int]) -> set[Key]:
    return {key for key in sizes if isinstance(key[1], int)}
