"""The label algebra: which positions of which dims disappear together.

Every dim of every tensor carries a label: `None` (it never changes) or an int array `[n, k]` of *atoms*: position
`i` disappears as soon as any of its `k` atoms is removed. Atom 0 fills rows up: it is never removed. Four
operations exist: `unify`, `split`, `merge` and `fix`; all of them work on whole arrays, never position by position.

Atoms live in a union-find forest. A root may be *bound* to a product of other atoms, as a type variable is bound
during inference: that is how a plain `Linear(E)` turns into `heads x head_dim` everywhere once a view says so.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from math import prod

import numpy as np
import numpy.typing as npt
from numpy import count_nonzero  # on short arrays ten times as fast as `any` and `all`

from secateurs.graph._columns import (
    IntArray,
    Label,
    any_of,
    are_apart,
    check_sizes,
    first_wide,
    grouping,
    is_ascending,
    outer,
    stack_columns,
    varying_dims,
    wider,
    without_common,
    without_repeats,
)
from secateurs.graph._free import FreeForms

__all__ = ["NO_UNITS", "Algebra", "IntArray", "Label", "Reason", "stack_columns"]

Reason = str | Callable[[], str]
"""Why something stays, or a function that says it: most calls fix nothing, and texts take longer than the rest."""

NO_UNITS = "a dimension without units"
"""Reason of dims that nobody would want to cut, such as the offsets of a kernel; not reported."""


class Algebra:
    """A growing set of atoms and everything known about them."""

    def __init__(self) -> None:
        self._parent: IntArray = np.zeros(1024, dtype=np.int64)
        self._factors: IntArray = np.zeros((1024, 2), dtype=np.int64)
        self._reason: IntArray = np.zeros(1024, dtype=np.int64)
        self._size = 1
        self._bound = False
        """Whether any root is bound."""
        self._free = FreeForms(self._settled, self._resolved_free)
        self.version = 0
        """Counts the changes, so that results can be cached between them."""
        self.reasons: list[str] = ["", NO_UNITS]
        self._reason_ids: dict[str, int] = {NO_UNITS: 1}
        self._reason[0] = 1

    def __len__(self) -> int:
        return self._size

    def fresh(self, n: int) -> Label:
        """A plain label [n, 1] of `n` atoms that nothing else has."""
        return self._new_atoms(n)[:, None]

    def fresh_all(self, sizes: Iterable[int]) -> list[Label]:
        """`fresh` of each size, at once."""
        ends = list(accumulate(sizes, initial=0))
        atoms = self._new_atoms(ends[-1])[:, None]
        return [atoms[start:end] for start, end in pairwise(ends)]

    def _new_atoms(self, n: int) -> IntArray:
        start, self._size = self._size, self._size + n
        if self._size > len(self._parent):
            room = 2 * self._size
            self._parent, self._factors = wider(self._parent, room), wider(self._factors, room)
            self._reason = wider(self._reason, room)
        atoms = np.arange(start, self._size, dtype=np.int64)
        self._parent[start : self._size] = atoms
        return atoms

    # ------------------------------------------------------------------ reading

    def find(self, atoms: IntArray) -> IntArray:
        """The root of every atom, with the paths to it shortened."""
        roots = self._parent[atoms]
        while count_nonzero((above := self._parent[roots]) != roots):
            # Written back at once: a chain through all of `atoms` is as long as the label, and halves each time.
            self._parent[atoms] = roots = above
        return roots

    def is_fixed(self, roots: IntArray) -> npt.NDArray[np.bool_]:
        """Whether each root is never removed."""
        fixed: npt.NDArray[np.bool_] = np.asarray(self._reason[roots] > 0)
        return fixed

    def reason(self, root: int) -> str:
        """Why a root is fixed; empty where it is free."""
        return self.reasons[int(self._reason[root])]

    def resolve(self, label: Label) -> Label:
        """The label in terms of unbound roots.

        Rows keep their free atoms only, each once; a row with fixed atoms alone keeps one of them, so that the
        reason is not lost. Columns that are empty everywhere are left out (at least one stays).
        """
        roots = self.factors(label)
        return roots if roots.shape[1] == 1 else self._tidy(roots)

    def factors(self, label: Label) -> Label:
        """The label in terms of unbound roots, fixed factors of free positions included."""
        roots = self.find(label)
        if not self._bound:
            return roots
        while (bound := self._factors[roots, 0] > 0).any():
            first = np.where(bound, self._factors[roots, 0], roots)
            second = np.where(bound, self._factors[roots, 1], 0)[:, bound.any(0)]
            roots = self.find(np.concatenate([first, second], axis=1))
        return roots

    def _tidy(self, roots: Label) -> Label:
        fixed = self.is_fixed(roots)
        free_rows = any_of(~fixed)
        tidy = np.where(fixed, 0, roots)
        if count_nonzero(free_rows) < len(free_rows):
            tidy[~free_rows, 0] = roots[~free_rows].max(1)
        return without_repeats(tidy)

    def free(self, label: Label) -> Label:
        """`resolve` with every fixed atom replaced by 0."""
        return self._free.of(label, (self.version, self._size))

    def settle(self, labels: Iterable[Label]) -> None:
        """Find what `free` says of many labels at once, the same array for equal ones.

        Until anything changes, asking for them is a look-up.
        """
        self._free.settle(labels, (self.version, self._size))

    def _resolved_free(self, label: Label) -> Label:
        roots = self.resolve(label)
        return np.where(self.is_fixed(roots), 0, roots)

    def _settled(self, atoms: IntArray) -> IntArray:
        """What atoms are when free: their roots, 0 where these are fixed, -1 where they are bound."""
        roots = self.find(atoms)
        settled = np.where(self._reason[roots] > 0, 0, roots)
        if self._bound:
            settled[self._factors[roots, 0] > 0] = -1
        return settled

    def removed_rows(self, label: Label, removed: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Which positions of `label` [n] disappear when the roots marked in `removed` do."""
        rows: npt.NDArray[np.bool_] = any_of(removed[self.free(label)])
        return rows

    # ------------------------------------------------------------------ the four operations

    def fix(self, label: Label | None, why: Reason) -> None:
        """Every position of the label stays for ever, because of `why`."""
        if label is None:
            return
        roots = self.resolve(label)
        roots = roots[self._reason[roots] == 0]
        if roots.size:
            self._reason[roots] = self._reason_id(why)
            self.version += 1

    def unify(self, first: Label | None, second: Label | None, why: Reason) -> None:
        """Position i of one label disappears exactly when position i of the other does.

        Where that cannot be said with products of atoms, the positions concerned are fixed, with `why`: a coarser
        answer that is still right.
        """
        if first is None or second is None:
            self.fix(first if second is None else second, why)
            return
        if len(first) != len(second):
            raise ValueError(f"labels of {len(first)} and {len(second)} positions cannot be unified")
        if first is second or not len(first):
            return
        if not self._unify_plain(first, second):
            self._unify_products(first, second, why)

    def unify_all(self, labels: Sequence[Label | None], other: Label | None, why: Reason) -> None:
        """`unify` of each label with another one, in one step where all are plain."""
        given = [
            label for label in labels if label is not None and other is not None and label.shape == (len(other), 1)
        ]
        if other is not None and len(given) == len(labels) > 1:
            at_once = np.concatenate(given), np.concatenate([other] * len(given))
            labels = () if self._unify_plain(*at_once) else labels
        for label in labels:
            self.unify(label, other, why)

    def _unify_plain(self, first: Label, second: Label) -> bool:
        """The usual case, at once: two labels of one atom per position, that both or one of them are free to take."""
        if first.shape[1] > 1 or second.shape[1] > 1:
            return False
        a, b = self.find(first)[:, 0], self.find(second)[:, 0]
        if count_nonzero(a) + count_nonzero(b) < 2 * len(a):
            return False
        if self._bound:
            bound_a, bound_b = (count_nonzero(self._factors[roots, 0]) for roots in (a, b))
            if bound_a or bound_b:
                adopted = (not bound_a and self._adopt(a, b)) or (not bound_b and self._adopt(b, a))
                return adopted or np.array_equal(a, b)
        self._union(a, b)
        return True

    def _adopt(self, free: IntArray, bound: IntArray) -> bool:
        """Let unbound roots be what others stand for, if all of these do, and no reason is to be handed on."""
        factors = self.find(self._factors[bound])
        if count_nonzero(factors[:, 0]) < len(bound) or count_nonzero(self._factors[factors, 0]):
            return False
        if count_nonzero(self._reason[factors]) or count_nonzero(self._reason[free]):
            return False
        if not is_ascending(free) or not are_apart(free, factors):
            return False
        self._parent[free] = bound
        self.version += 1
        return True

    def _unify_products(self, first: Label, second: Label, why: Reason) -> None:
        work = [(first, second)]
        while work:
            a, b = work.pop()
            a, b = without_common(self.resolve(a), self.resolve(b))
            patterns = np.concatenate([a > 0, b > 0], axis=1)
            if (patterns == patterns[0]).all():
                work += self._unify_uniform(a[:, patterns[0, : a.shape[1]]], b[:, patterns[0, a.shape[1] :]], why)
                continue
            codes = patterns @ (1 << np.arange(patterns.shape[1], dtype=np.int64))
            work += [(a[codes == code], b[codes == code]) for code in np.unique(codes)]

    def _unify_uniform(self, a: Label, b: Label, why: Reason) -> list[tuple[Label, Label]]:
        """Unify two labels without gaps and without common atoms; returns what is left to unify."""
        if a.shape[1] > b.shape[1]:
            a, b = b, a
        if b.shape[1] == 0:
            return []
        if a.shape[1] == 0:
            self.fix(b, why)
            return []
        if b.shape[1] == 1:
            self._union(a[:, 0], b[:, 0])
            return []
        if a.shape[1] == 1:
            return self._bind(a[:, 0], b, why)
        return self._match_columns(a, b, why)

    def split(self, label: Label | None, sizes: Sequence[int], why: Reason) -> list[Label | None]:
        """Labels of the dims that a dim of `prod(sizes)` positions is viewed as, outermost first.

        A column that varies along one new dim goes there. One that varies along several is refined into a product
        of fresh atoms, one factor per dim, everywhere it occurs.
        """
        parts: list[list[IntArray]] = [[] for _ in sizes]
        if label is None:
            return [None for _ in sizes]
        if len(label) != prod(sizes):
            raise ValueError(f"{len(label)} positions cannot be viewed as {tuple(sizes)}")
        if not len(label):
            return [None for _ in sizes]
        resolved = self.resolve(label)
        for column in range(resolved.shape[1]):
            grid = resolved[:, column].reshape(tuple(sizes))
            dims = varying_dims(grid)
            if len(dims) <= 1:
                dim = dims[0] if dims else first_wide(sizes)
                parts[dim].append(np.moveaxis(grid, dim, 0).reshape(sizes[dim], -1)[:, 0])
                continue
            factors = [self.fresh(sizes[dim]) for dim in dims]
            self.unify(grid.reshape(-1)[:, None], outer(factors, dims, sizes), why)
            for dim, factor in zip(dims, factors, strict=True):
                parts[dim].append(factor[:, 0])
        return [np.stack(columns, axis=1) if columns else None for columns in parts]

    def merge(self, labels: Sequence[Label | None], sizes: Sequence[int]) -> Label | None:
        """The label of the dim that several dims, outermost first, are flattened to."""
        check_sizes(labels, sizes)
        dims = [dim for dim, label in enumerate(labels) if label is not None]
        if not dims:
            return None
        if len(dims) == 1 and prod(sizes) == sizes[dims[0]]:
            return labels[dims[0]]
        return outer([label for label in labels if label is not None], dims, sizes)

    # ------------------------------------------------------------------ how unify works

    def _union(self, a: IntArray, b: IntArray) -> None:
        """Join the classes of two arrays of unbound roots, pair by pair; a fixed class makes the other fixed."""
        apart = a != b
        count = count_nonzero(apart)
        if not count:
            return
        if count < len(a):
            a, b = a[apart], b[apart]
        fixed_a, fixed_b = self._reason[a], self._reason[b]
        low, high = np.minimum(a, b), np.maximum(a, b)
        if is_ascending(high):
            self._parent[high] = low  # every root is joined to one other: the usual case
        else:
            self._join(low, high)
        for roots, because in ((a, fixed_a), (b, fixed_b)):
            if count_nonzero(because):
                roots, because = self.find(roots[because > 0]), because[because > 0]
                new = self._reason[roots] == 0
                self._reason[roots[new]] = because[new]
        self.version += 1

    def _join(self, low: IntArray, high: IntArray) -> None:
        while (apart := low != high).any():
            np.minimum.at(self._parent, high[apart], low[apart])
            a, b = self.find(low), self.find(high)
            low, high = np.minimum(a, b), np.maximum(a, b)

    def _bind(self, atoms: IntArray, product: Label, why: Reason) -> list[tuple[Label, Label]]:
        """Make every atom stand for the product in its row."""
        fixed = self.is_fixed(atoms)
        if fixed.any():
            because = self._reason[atoms]
            for known in np.unique(because[fixed]):
                self.fix(product[because == known], self.reasons[known])
            return [(atoms[~fixed][:, None], product[~fixed])] if not fixed.all() else []
        if not are_apart(atoms, product):
            self.fix(atoms[:, None], why)
            self.fix(product, why)
            return []
        if is_ascending(atoms):  # so all of them are different: the usual case
            self._bind_distinct(atoms, product)
            return []
        distinct, first, inverse = np.unique(atoms, return_index=True, return_inverse=True)
        self._bind_distinct(distinct, product[first])
        if len(distinct) == len(atoms):
            return []
        return [(product, product[first[inverse]])]

    def _bind_distinct(self, atoms: IntArray, product: Label) -> None:
        while product.shape[1] > 2:
            pairs = self.fresh(len(product))[:, 0]
            self._factors[pairs] = product[:, :2]
            product = np.concatenate([product[:, 2:], pairs[:, None]], axis=1)
        self._factors[atoms] = product
        self._bound = True
        self.version += 1

    def _match_columns(self, a: Label, b: Label, why: Reason) -> list[tuple[Label, Label]]:
        """Pair columns of two products that group the positions alike; what stays unpaired is bound or fixed."""
        work: list[tuple[Label, Label]] = []
        rest_a, rest_b = list(range(a.shape[1])), list(range(b.shape[1]))
        groups_b = {column: grouping(b[:, column]) for column in rest_b}
        for column in list(rest_a):
            alike = grouping(a[:, column])
            partner = next((c for c in rest_b if np.array_equal(groups_b[c], alike)), None)
            if partner is not None:
                work.append((a[:, column : column + 1], b[:, partner : partner + 1]))
                rest_a.remove(column)
                rest_b.remove(partner)
        left_a, left_b = a[:, rest_a], b[:, rest_b]
        if min(len(rest_a), len(rest_b)) == 1:
            return [*work, (left_a, left_b)]
        if rest_a and rest_b:
            refined = self._refine(left_a, left_b, why) or self._refine(left_b, left_a, why)
            if refined:
                return work + refined
        for left in (left_a, left_b):
            if left.size:
                self.fix(left, why)
        return work

    def _refine(self, a: Label, b: Label, why: Reason) -> list[tuple[Label, Label]]:
        """View the second product along the grid that the columns of the first span; empty where they span none."""
        places = [np.unique(column, return_inverse=True)[1] for column in a.T]
        sizes = [int(place.max()) + 1 for place in places]
        if prod(sizes) != len(a):
            return []
        cells = np.ravel_multi_index(places, sizes)
        if len(np.unique(cells)) != len(a):
            return []
        work = []
        parts = self.split(b[np.argsort(cells)], sizes, why)
        for column, place, part in zip(a.T, places, parts, strict=True):
            if part is None:
                self.fix(column[:, None], why)
            else:
                work.append((column[:, None], part[place]))
        return work

    def _reason_id(self, why: Reason) -> int:
        why = why if isinstance(why, str) else why()
        if why not in self._reason_ids:
            self._reason_ids[why] = len(self.reasons)
            self.reasons.append(why)
        return self._reason_ids[why]
