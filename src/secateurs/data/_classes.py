"""From what people call classes to their numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from secateurs._errors import DataError
from secateurs._nearest import nearest_hint
from secateurs.data._cifar100 import CLASSES, SUBSETS, SUPERCLASSES
from secateurs.data._split import Split
from secateurs.data._subset import Subset

__all__ = ["subset_of"]

_ALL = "entire_dataset"
_WHERE = "data.classes"
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class _Words:
    """What may be asked for: names to class numbers, by what they are names of."""

    classes: Mapping[str, tuple[int, ...]]
    superclasses: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    subsets: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def meanings(self, word: str) -> dict[str, tuple[int, ...]]:
        """All that `word` may stand for, by kind; `class:NAME` and `superclass:NAME` say which."""
        kinds = {"class": self.classes, "superclass": self.superclasses, "subset": self.subsets}
        found = {kind: words[word] for kind, words in kinds.items() if word in words}
        kind, _, name = word.partition(":")
        if not found and name in kinds.get(kind, {}):
            return {kind: kinds[kind][name]}
        return found

    def all(self) -> list[str]:
        """Every name."""
        return [*self.classes, *self.superclasses, *self.subsets]


def subset_of(asked: str | Sequence[str | int], split: Split, name: str) -> Subset:
    """The classes that `data.classes` means.

    Args:
        asked: one word, or several, or numbers of classes.
        split: the one to train on.
        name: of the data set.

    Raises:
        DataError: a word or a number that means nothing here, with the nearest that does, or more than one thing.
    """
    parts = (asked,) if isinstance(asked, str) else tuple(asked)
    words = _words(split, name)
    ids: set[int] = set()
    for part in parts:
        ids.update(_ids(part, words, split))
    return Subset(name="+".join(map(str, parts)), ids=tuple(sorted(ids)), classes=split.classes)


def _ids(part: str | int, words: _Words, split: Split) -> Iterable[int]:
    if isinstance(part, int):
        if not 0 <= part < len(split.classes):
            cure = "Give numbers of classes, counted from 0, or their names."
            raise DataError(_WHERE, wanted=f"0 to {len(split.classes) - 1} in {split.where}", got=str(part), cure=cure)
        return (part,)
    meanings = words.meanings(part)
    if not meanings:
        raise _unknown(part, words, split)
    if len(set(meanings.values())) > 1:
        raise DataError(
            _WHERE,
            wanted="a name with one meaning",
            got=f"{part!r}, which is a {' and a '.join(meanings)} of {split.where}",
            cure=f"Write {' or '.join(f'{kind}:{part}' for kind in meanings)}.",
        )
    return next(iter(meanings.values()))


def _unknown(word: str, words: _Words, split: Split) -> DataError:
    said = f"Classes are {_listed(words.classes)}"
    if words.superclasses:
        said += f"; super-classes {_listed(words.superclasses)}; subsets {_listed(words.subsets)}."
    else:
        said += "; data.superclass_column names the column of super-classes, where there is one."
    wanted = f"a class, a super-class or a subset of {split.where}"
    return DataError(_WHERE, wanted=wanted, got=repr(word), cure=nearest_hint(word, words.all(), said))


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:_SHOWN]) + (f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")


def _words(split: Split, name: str) -> _Words:
    own = {word: (number,) for number, word in enumerate(split.classes)}
    everything = {_ALL: tuple(range(len(split.classes)))}
    if split.classes == tuple(SUPERCLASSES):  # CIFAR-100 by its coarse labels
        return _Words(classes=own, subsets=everything | _joined(SUBSETS, own))
    if split.classes == CLASSES or _by_numbers(split.classes, name):
        fine = own | {word: (number,) for number, word in enumerate(CLASSES)}
        coarse = _joined(SUPERCLASSES, fine)
        return _Words(classes=fine, superclasses=coarse, subsets=everything | _joined(SUBSETS, coarse))
    return _Words(classes=own, superclasses=_superclasses(split), subsets=everything)


def _by_numbers(classes: tuple[str, ...], name: str) -> bool:
    """CIFAR-100 from files that have numbers only: it goes by its name."""
    known = name.rpartition("/")[2].lower().replace("-", "").replace("_", "") == "cifar100"
    return known and classes == tuple(map(str, range(len(CLASSES))))


def _joined(groups: Mapping[str, tuple[str, ...]], words: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {group: tuple(sorted(number for name in names for number in words[name])) for group, names in groups.items()}


def _superclasses(split: Split) -> dict[str, tuple[int, ...]]:
    """From the data set's own column of them; every class must lie in one."""
    groups = split.groups()
    if groups is None:
        return {}
    pairs = torch.unique(torch.stack([split.labels, groups.labels], dim=1), dim=0).tolist()
    owner: dict[int, int] = {}
    found: dict[str, list[int]] = {}
    for number, group in pairs:
        if owner.setdefault(number, group) != group:
            raise DataError(
                split.where,
                wanted=f"one super-class in column {groups.column!r} for every class",
                got=f"{groups.names[owner[number]]!r} and {groups.names[group]!r} for class {split.classes[number]!r}",
                cure="Set data.superclass_column to another column, or give classes by their own names.",
            )
        found.setdefault(groups.names[group], []).append(number)
    return {name: tuple(numbers) for name, numbers in found.items()}
