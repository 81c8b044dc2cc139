"""From what people call classes to their numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import torch

from secateurs._errors import DataError
from secateurs._nearest import nearest_hint
from secateurs.data._cifar100 import CLASSES, SUBSETS, SUPERCLASSES
from secateurs.data._split import Groups, Split
from secateurs.data._subset import Subset

__all__ = ["Asked", "Vocabulary", "vocabulary"]

Asked: TypeAlias = str | Sequence[str | int]
"""One word, or several words and numbers of classes."""

_ALL = "entire_dataset"
_WHERE = "data.classes"
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What the classes of a data set may be called: names to class numbers, by what they are names of.

    Attributes:
        where: names the data set in errors.
        names: of all classes, in order.
        classes: more names of them among these.
        superclasses: groups of classes; every class is in one.
        subsets: what studies are about.
        unclear: super-classes that say nothing of classes, and why.
    """

    where: str
    names: tuple[str, ...]
    classes: Mapping[str, tuple[int, ...]]
    superclasses: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    subsets: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    unclear: Mapping[str, str] = field(default_factory=dict)

    def subset(self, asked: Asked) -> Subset:
        """The classes that `data.classes` means.

        Raises:
            DataError: a word or a number that means nothing here, with the nearest that does, or more than one thing.
        """
        parts = (asked,) if isinstance(asked, str) else tuple(asked)
        ids = {number for part in parts for number in self._numbers(part)}
        return Subset(name="+".join(map(str, parts)), ids=tuple(sorted(ids)), classes=self.names)

    def _numbers(self, part: str | int) -> tuple[int, ...]:
        if isinstance(part, int):
            if 0 <= part < len(self.names):
                return (part,)
            cure = "Give numbers of classes, counted from 0, or their names."
            raise DataError(_WHERE, wanted=f"0 to {len(self.names) - 1} in {self.where}", got=str(part), cure=cure)
        meanings = self._meanings(part)
        if not meanings:
            raise self._unknown(part)
        if len(set(meanings.values())) > 1:
            raise DataError(
                _WHERE,
                wanted="a name with one meaning",
                got=f"{part!r}, which is a {' and a '.join(meanings)} of {self.where}",
                cure=f"Write {' or '.join(f'{kind}:{part}' for kind in meanings)}.",
            )
        return next(iter(meanings.values()))

    def _meanings(self, word: str) -> dict[str, tuple[int, ...]]:
        """All that `word` may stand for, by kind; `class:NAME` and `superclass:NAME` say which."""
        kinds = {"class": self.classes, "superclass": self.superclasses, "subset": self.subsets}
        found = {kind: words[word] for kind, words in kinds.items() if word in words}
        kind, _, name = word.partition(":")
        if not found and name in kinds.get(kind, {}):
            return {kind: kinds[kind][name]}
        return found

    def _unknown(self, word: str) -> DataError:
        if word.removeprefix("superclass:") in self.unclear:
            return DataError(
                _WHERE,
                wanted=f"one super-class for every class of {self.where}",
                got=self.unclear[word.removeprefix("superclass:")],
                cure="Set data.superclass_column to another column, or give classes by their own names.",
            )
        said = f"Classes are {_listed(self.classes)}"
        if self.superclasses:
            said += f"; super-classes {_listed(self.superclasses)}; subsets {_listed(self.subsets)}."
        else:
            said += "; data.superclass_column names the column of super-classes, where there is one."
        wanted = f"a class, a super-class or a subset of {self.where}"
        known = [*self.classes, *self.superclasses, *self.subsets]
        return DataError(_WHERE, wanted=wanted, got=repr(word), cure=nearest_hint(word, known, said))


def vocabulary(split: Split, name: str) -> Vocabulary:
    """What the classes of a data set may be called.

    Args:
        split: the one to train on.
        name: of the data set.
    """
    own = {word: (number,) for number, word in enumerate(split.classes)}
    plain = Vocabulary(
        where=split.where, names=split.classes, classes=own, subsets={_ALL: tuple(range(len(split.classes)))}
    )
    if split.classes == tuple(SUPERCLASSES):  # CIFAR-100 by its coarse labels
        return replace(plain, subsets={**plain.subsets, **_joined(SUBSETS, own)})
    if split.classes == CLASSES or _by_numbers(split.classes, name):
        fine = own | {word: (number,) for number, word in enumerate(CLASSES)}
        coarse = _joined(SUPERCLASSES, fine)
        subsets = {**plain.subsets, **_joined(SUBSETS, coarse)}
        return replace(plain, classes=fine, superclasses=coarse, subsets=subsets)
    groups = split.groups()
    return plain if groups is None else _with_groups(plain, split, groups)


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:_SHOWN]) + (f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")


def _by_numbers(classes: tuple[str, ...], name: str) -> bool:
    """CIFAR-100 from files that have numbers only: it goes by its name."""
    known = name.rpartition("/")[2].lower().replace("-", "").replace("_", "") == "cifar100"
    return known and classes == tuple(map(str, range(len(CLASSES))))


def _joined(groups: Mapping[str, tuple[str, ...]], words: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {group: tuple(sorted(number for name in names for number in words[name])) for group, names in groups.items()}


def _with_groups(plain: Vocabulary, split: Split, groups: Groups) -> Vocabulary:
    """With the super-classes of the data set's own column; every class must lie in one."""
    pairs = torch.unique(torch.stack([split.labels, groups.labels], dim=1), dim=0).tolist()
    owners: dict[int, list[str]] = {}
    found: dict[str, list[int]] = {}
    for number, group in pairs:
        owners.setdefault(number, []).append(groups.names[group])
        found.setdefault(groups.names[group], []).append(number)
    torn = {
        name: f"{' and '.join(map(repr, names[:3]))} in column {groups.column!r} for class {split.classes[number]!r}"
        for number, names in owners.items()
        if len(names) > 1
        for name in names
    }
    clear = {name: tuple(numbers) for name, numbers in found.items() if name not in torn}
    return replace(plain, superclasses=clear, unclear=torn)
