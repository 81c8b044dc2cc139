"""A slow oracle of the label algebra: every position by itself, every declared fact in a list.

`Facts` knows nothing of atoms: it numbers positions and keeps what was declared about them, so that any set of removed
positions can be judged. `Twin` makes every operation on an algebra and on the facts at the same time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from secateurs.graph._labels import Algebra, Label, stack_columns

__all__ = ["NEVER", "Dim", "Fact", "Facts", "Twin"]

NEVER = 0
"""The position that stands for padding and for dims without a label: it is never removed."""

WHY = "declared"


@dataclass(frozen=True)
class Fact:
    """`target` is removed exactly when any of `sources` is; without sources it stays for ever."""

    target: int
    sources: tuple[int, ...]


@dataclass(frozen=True)
class Dim:
    """A dim in both worlds: the algebra's label and the number of each of its positions."""

    name: str
    label: Label | None
    rows: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)


class Facts:
    """Numbered positions and all facts declared about them."""

    def __init__(self) -> None:
        self.count = 1
        self.facts: list[Fact] = []

    def fresh(self, n: int) -> tuple[int, ...]:
        """Positions about which nothing is known yet."""
        self.count += n
        return tuple(range(self.count - n, self.count))

    def declare(self, target: int, *sources: int) -> None:
        """Add one fact."""
        self.facts.append(Fact(target, sources))

    def broken(self, removed: set[int]) -> list[Fact]:
        """The facts that do not hold when exactly these positions are removed."""
        return [fact for fact in self.facts if (fact.target in removed) != any(s in removed for s in fact.sources)]

    def feasible(self, onto: Iterable[int]) -> set[frozenset[int]]:
        """Every set of removed positions that breaks no fact, as far as it lies in `onto`.

        All subsets are listed, position after position (bit p of a number: p is removed); each fact is applied as soon
        as its positions are there.
        """
        onto = tuple(onto)
        subsets = np.zeros(1, dtype=np.int64)
        for position in range(1, self.count):
            subsets = np.concatenate([subsets, subsets | (1 << position)])
            for fact in self.facts:
                if max(fact.target, *fact.sources, 0) == position:
                    target = (subsets >> fact.target) & 1 == 1
                    source = (subsets & sum(1 << s for s in set(fact.sources))) != 0
                    subsets = subsets[target == source]
        seen = np.unique(subsets & sum(1 << p for p in set(onto))).tolist()
        return {frozenset(p for p in onto if subset >> p & 1) for subset in seen}


class Twin:
    """An algebra and the facts, side by side; `log` has every operation as a line of code."""

    def __init__(self) -> None:
        self.algebra, self.facts = Algebra(), Facts()
        self.made: list[Dim] = []
        self.base: list[int] = []
        self.log: list[str] = []

    def _add(self, label: Label | None, rows: Iterable[int], call: str) -> Dim:
        dim = Dim(f"d{len(self.made)}", label, tuple(rows))
        assert label is None or len(label) == len(dim.rows), call
        self.made.append(dim)
        self.log.append(f"{dim.name} = twin.{call}")
        return dim

    # ------------------------------------------------------------------ operations of the algebra

    def fresh(self, n: int) -> Dim:
        """A dim of a parameter: what may be cut."""
        rows = self.facts.fresh(n)
        self.base += rows
        return self._add(self.algebra.fresh(n), rows, f"fresh({n})")

    def constant(self, n: int) -> Dim:
        """A dim without a label."""
        return self._add(None, [NEVER] * n, f"constant({n})")

    def unify(self, first: Dim, second: Dim, why: str = WHY) -> None:
        """Position i of one goes exactly when position i of the other does."""
        self.log.append(f"twin.unify({first.name}, {second.name})")
        self.algebra.unify(first.label, second.label, why)
        for a, b in zip(first.rows, second.rows, strict=True):
            self.facts.declare(a, b)

    def fix(self, dim: Dim, why: str = WHY) -> None:
        """No position of the dim ever goes."""
        self.log.append(f"twin.fix({dim.name})")
        self.algebra.fix(dim.label, why)
        for row in dim.rows:
            self.facts.declare(row)

    def split(self, dim: Dim, *sizes: int) -> list[Dim]:
        """The old dim's removed positions are whole slices of the new dims."""
        labels = self.algebra.split(dim.label, sizes, WHY)
        rows = [self.facts.fresh(size) for size in sizes]
        for old, new in zip(dim.rows, product(*rows), strict=True):
            self.facts.declare(old, *new)
        return [
            self._add(label, part, f"split({dim.name}, {', '.join(map(str, sizes))})[{i}]")
            for i, (label, part) in enumerate(zip(labels, rows, strict=True))
        ]

    def merge(self, *dims: Dim) -> Dim:
        """A position of the new dim goes when any of the old positions that it combines does."""
        label = self.algebra.merge([dim.label for dim in dims], [len(dim) for dim in dims])
        rows = self.facts.fresh(int(np.prod([len(dim) for dim in dims])))
        for new, old in zip(rows, product(*[dim.rows for dim in dims]), strict=True):
            self.facts.declare(new, *old)
        return self._add(label, rows, f"merge({', '.join(dim.name for dim in dims)})")

    # ------------------------------------------------------------------ plain array operations

    def take(self, dim: Dim, index: Sequence[int]) -> Dim:
        """Some positions, in any order, also several times."""
        label = None if dim.label is None else dim.label[list(index)]
        return self._add(label, [dim.rows[i] for i in index], f"take({dim.name}, {list(index)})")

    def stack(self, *dims: Dim) -> Dim:
        """One dim after the other."""
        label = stack_columns([dim.label for dim in dims], [len(dim) for dim in dims])
        names = ", ".join(dim.name for dim in dims)
        return self._add(label, [row for dim in dims for row in dim.rows], f"stack({names})")

    # ------------------------------------------------------------------ what the algebra says

    def roots(self) -> list[int]:
        """Everything that may be removed, over all labels ever made."""
        labels = [dim.label for dim in self.made if dim.label is not None]
        return sorted({int(atom) for label in labels for atom in self.algebra.free(label).flat} - {0})

    def removed(self, roots: Iterable[int]) -> set[int]:
        """The positions that go with some roots; all labels must agree on each of them."""
        mask = np.zeros(len(self.algebra), dtype=bool)
        mask[list(roots)] = True
        gone: dict[int, bool] = {NEVER: False}
        for dim in self.made:
            rows = [False] * len(dim) if dim.label is None else self.algebra.removed_rows(dim.label, mask).tolist()
            for position, removed in zip(dim.rows, rows, strict=True):
                assert gone.setdefault(position, removed) == removed, f"{dim.name} differs\n{self}"
        return {position for position, removed in gone.items() if removed}

    def reachable(self, onto: Iterable[int]) -> set[frozenset[int]]:
        """What can be removed in all, as far as it lies in `onto`: every union of what single roots remove."""
        whole = frozenset(onto)
        subsets = {frozenset[int]()}
        for part in {whole & self.removed([root]) for root in self.roots()}:
            subsets |= {subset | part for subset in subsets}
        return subsets

    def check(self, roots: Iterable[int]) -> None:
        """All declared facts hold when these roots are removed."""
        roots = list(roots)
        broken = self.facts.broken(self.removed(roots))
        assert not broken, f"removing roots {roots} breaks {broken[:3]}\n{self}"

    def __str__(self) -> str:
        return "\n".join(self.log)
