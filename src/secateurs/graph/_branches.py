"""Branch units: what one producer of a sum may lose alone.

A sum ties its producers, so that in a residual network all blocks of a stage share one axis. But the rows of one of
them can go alone, if a scatter puts zeros in the place of what they made. After a trace, every such producer gets a
label with one more column: its positions disappear with the stream, or alone. From there on the algebra does the rest.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from torch import nn

from secateurs.graph._axes import branch_atoms
from secateurs.graph._labels import Algebra, Label
from secateurs.graph._record import Branch, Info, Mark, Passage, Product, Record, SizeUse, Storage
from secateurs.graph.model._tensors import module_at
from secateurs.graph.sizes._provenance import Attribute, TensorSize, attributes_in, labels_in

__all__ = ["find_branches"]

_L = TypeVar("_L")
_LINEAR = 4
"""As many operators a linear layer takes at most, the product first."""

Spans = Mapping[str, tuple[int, int]]
"""Path of a weight to the first and the last operator that uses it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Chain:
    """A producer, and the norm behind it if nothing else reads what it makes."""

    product: Product
    made: Passage
    """The call of the module that makes the units."""
    last: Passage
    """The call behind which the scatter comes."""
    weights: tuple[str, ...]
    sizes: tuple[SizeUse, ...]


def find_branches(
    model: nn.Module, algebra: Algebra, record: Record, weights: MutableMapping[str, Info], spans: Spans
) -> None:
    """Give every producer of a sum units of its own, in `weights` and in the record.

    Left out are producers with an axis of their own anyway, groups of a grouped convolution, weights and modules that
    are used more than once, and modules that do more with the units than make them.
    """
    if record.sums:
        finder, ties = _Finder(model, record, weights, spans), _Ties(algebra, record)
        chains = [chain for product in record.products if (chain := finder.chain(product)) and ties.tied(product)]
        writer = _Writer(algebra, record, weights)
        record.branches += [writer.write(chain) for chain in chains]
    _set_apart_narrow_sizes(algebra, record)


def _set_apart_narrow_sizes(algebra: Algebra, record: Record) -> None:
    """Attributes that only a dim with units of its own is sized by follow it, whatever else happens."""
    branches = branch_atoms(algebra, record.marks)
    if not branches.any():
        return
    asked = _asked(record)
    rest: list[SizeUse] = []
    for use in record.sizes:
        lone = isinstance(use.expression, Attribute) and asked[use.expression] == 1
        own = record.narrow if lone and branches[algebra.resolve(use.label)].any() else rest
        own.append(use)
    record.sizes[:] = rest


def _asked(record: Record) -> Counter[Attribute]:
    """How often the code uses each attribute."""
    expressions = [use.expression for use in record.sizes] + [use.expression for use in record.numbers]
    found = Counter(attribute for expression in expressions for attribute in attributes_in(expression))
    found.update([*record.constant])
    return found


class _Ties:
    """Which units are added to others, and not free by themselves."""

    def __init__(self, algebra: Algebra, record: Record) -> None:
        self._algebra = algebra
        self._summed = {self._key(label) for label in {id(label): label for label in record.sums}.values()}
        self._shared = self._made_twice(record)

    def _key(self, label: Label) -> tuple[int, bytes]:
        roots = self._algebra.resolve(label)
        return roots.shape[1], roots.tobytes()

    def _made_twice(self, record: Record) -> npt.NDArray[np.bool_]:
        """Roots with more than one producer."""
        first = np.zeros(len(self._algebra), dtype=np.int64)
        shared = np.zeros(len(self._algebra), dtype=bool)
        self._algebra.settle(mark.label for mark in record.marks)
        numbers: dict[str, int] = {}
        for mark in record.marks:
            if mark.path is not None:
                number = numbers.setdefault(mark.path, len(numbers) + 1)
                roots = self._algebra.free(mark.label)
                before = first[roots]
                shared[roots] |= (before != 0) & (before != number)
                first[roots] = number
        shared[0] = False
        return shared

    def tied(self, product: Product) -> bool:
        """Whether a sum makes these units depend on others."""
        roots = self._algebra.resolve(product.label)
        fixed = self._algebra.is_fixed(roots) & (roots > 0)
        return bool(fixed.any() or self._shared[roots].any()) and self._key(product.label) in self._summed


class _Finder:
    """Looks for the modules that a scatter can follow."""

    def __init__(self, model: nn.Module, record: Record, weights: Mapping[str, Info], spans: Spans) -> None:
        self._model, self._record, self._weights, self._spans = model, record, weights, spans
        self._calls = Counter(passage.path for passage in record.passages)
        self._norms = {product.operator: product for product in record.products if product.weight is None}
        self._returning: dict[int, list[Passage]] = defaultdict(list)
        for passage in record.passages:
            self._returning[record.storages[passage.storage].born - 1].append(passage)
        self._asked = _asked(record)

    def chain(self, product: Product) -> _Chain | None:
        """The chain that starts with an operator; `None` where its rows cannot go alone."""
        made = self._returned(product)
        if product.weight is None or made is None or not self._holds_whole(product):
            return None
        own = self._own_weights(product, made)
        sizes = self._sizes(product, made)
        if own is None or sizes is None:
            return None
        last, more = self._with_norm(product, made)
        return _Chain(product=product, made=made, last=last, weights=(*own, *more), sizes=sizes)

    def _returned(self, product: Product) -> Passage | None:
        """The innermost call that returns just what the operator made."""
        made = (passage for n in range(_LINEAR) for passage in self._returning[product.operator + n])
        for passage in made:
            inside = passage.start.operators <= product.operator < passage.end.operators
            if inside and passage.path and any(label is product.label for label in passage.labels):
                number = self._record.storages[passage.storage].born - 1
                direct = number == product.operator and passage.version == 0
                once = self._calls[passage.path] == 1
                return passage if once and (direct or self._is_linear(passage)) else None
        return None

    def _is_linear(self, passage: Passage) -> bool:
        """torch's own linear layer may add its bias to the product later, or in place; nothing else happens there."""
        return type(module_at(self._model, passage.path)).forward is nn.Linear.forward

    def _holds_whole(self, product: Product) -> bool:
        """Whether the units are a whole dim of the weight."""
        return any(label is product.label for label in self._weights[product.weight or ""].labels)

    def _own_weights(self, product: Product, made: Passage) -> list[str] | None:
        """Weights per unit that nothing else uses; `None` where something does."""
        paths = [path for path in product.operands if path is not None]
        if len(product.operands) != len(paths) + 1:
            return None
        if self._is_linear(made):
            bias = f"{made.path}.bias"
            paths += [bias] if bias in self._weights and bias not in paths else []
        for path in paths:
            first, last = self._spans[path]
            if first < made.start.operators or last >= made.end.operators:
                return None
        return paths if self._one_per_unit(paths, product) else None

    def _one_per_unit(self, paths: list[str], product: Product) -> bool:
        """Whether all but the producing weight are vectors of the units."""
        others = [self._weights[path].labels for path in paths if path != product.weight]
        return all(
            len(labels) == 1 and labels[0] is not None and len(labels[0]) == len(product.label) for labels in others
        )

    def _sizes(self, product: Product, made: Passage) -> tuple[SizeUse, ...] | None:
        """Attributes of the module that its code takes the narrow size from; `None` where it asks in another way."""
        found = []
        for use in self._record.sizes[made.start.sizes : made.end.sizes]:
            if use.label is not product.label and not any(
                label is product.label for label in labels_in(use.expression)
            ):
                continue
            if isinstance(use.expression, TensorSize) and use.expression.label is use.label:
                continue
            if not isinstance(use.expression, Attribute) or use.expression.path != made.path:
                return None
            if self._asked[use.expression] != 1:
                return None
            found.append(use)
        return tuple(found)

    def _with_norm(self, product: Product, made: Passage) -> tuple[Passage, list[str]]:
        """A call of a batch norm directly behind, if it is the only reader, and its weights; else the call itself."""
        # torch makes room for what a backward pass may want to keep before it normalises: one operator more.
        norm = next(
            (self._norms[n] for n in range(made.end.operators, made.end.operators + 2) if n in self._norms), None
        )
        if norm is None or norm.label is not product.label or self._last_use(made) != norm.operator:
            return made, []
        paths = [path for path in norm.operands if path is not None]
        alone = all(self._spans[path] == (norm.operator, norm.operator) for path in paths)
        if len(norm.operands) != len(paths) + 1 or not alone or not self._one_per_unit(paths, product):
            return made, []
        for passage in self._returning[norm.operator]:
            if passage.start.operators == made.end.operators and passage.end.operators == norm.operator + 1:
                once = self._calls[passage.path] == 1 and passage.version == 0
                whole = passage.path and any(label is product.label for label in passage.labels)
                return (passage, paths) if once and whole else (made, [])
        return made, []

    def _last_use(self, passage: Passage) -> int:
        """The last operator that uses what a module returned."""
        return self._record.storages[passage.storage].last - 1


class _Writer:
    """Writes the labels of branches into a record."""

    def __init__(self, algebra: Algebra, record: Record, weights: MutableMapping[str, Info]) -> None:
        self._algebra, self._record, self._weights = algebra, record, weights
        self._born: dict[int, list[Storage]] = defaultdict(list)
        for storage in record.storages.values():
            self._born[storage.born - 1].append(storage)
        self._marks: dict[int, list[int]] = defaultdict(list)
        for number, mark in enumerate(record.marks):
            self._marks[id(mark.label)].append(number)

    def write(self, chain: _Chain) -> Branch:
        """New labels for the chain's weights, terms and storages; what its output is read as further down stays."""
        wide, made, last = chain.product.label, chain.made, chain.last
        alone = self._algebra.fresh(len(wide))
        narrow = np.concatenate([wide, alone], axis=1)
        self._write_weights(chain, narrow, alone)
        self._write_marks(chain, narrow, alone)
        asked, sizes = {id(use) for use in chain.sizes}, self._record.sizes
        sizes[:] = [replace(use, label=narrow) if id(use) in asked else use for use in sizes]
        output = self._record.storages[last.storage]
        for operator in range(made.start.operators, last.end.operators):
            for storage in self._born[operator]:
                if storage is not output:
                    storage.labels = _replaced(storage.labels, wide, narrow)
        for number in range(made.start.terms, made.end.terms):
            term = self._record.terms[number]
            self._record.terms[number] = term._replace(labels=_replaced(term.labels, wide, narrow))
        place = next(dim for dim, label in enumerate(last.labels) if label is wide)
        return Branch(
            path=last.path,
            dim=place - len(last.labels),
            wide=wide,
            narrow=narrow,
            operator=last.end.operators,
            storage=output,
        )

    def _write_weights(self, chain: _Chain, narrow: Label, alone: Label) -> None:
        for path in chain.weights:
            info = self._weights[path]
            if path == chain.product.weight:
                labels = _replaced(info.labels, chain.product.label, narrow)
            else:
                labels = tuple(np.concatenate([label, alone], axis=1) for label in info.labels if label is not None)
            self._weights[path] = info._replace(labels=labels)

    def _write_marks(self, chain: _Chain, narrow: Label, alone: Label) -> None:
        """The producer's mark takes the narrow label, so that both axes are its; other marks are about the stream."""
        marks = self._record.marks
        for number in self._marks[id(chain.product.label)]:
            if marks[number].path == chain.product.weight:
                marks[number] = marks[number]._replace(label=narrow)
        marks.append(Mark(kind="branch", label=alone))


def _replaced(labels: tuple[_L, ...], old: Label, new: Label) -> tuple[_L | Label, ...]:
    return tuple(new if label is old else label for label in labels)
