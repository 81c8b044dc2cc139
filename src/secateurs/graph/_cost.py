"""What a model costs under any plan, computed from labels without running it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from secateurs.graph._columns import any_of
from secateurs.graph._html import Cell, page, table
from secateurs.graph._labels import Algebra, Label
from secateurs.graph._lives import lives_of
from secateurs.graph._record import Branch, Record

__all__ = ["Cost", "CostModel", "Operations", "Weight"]

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one call of a model takes.

    Attributes:
        params: parameters, shared ones once.
        bytes: bytes of parameters and buffers.
        macs: multiply-adds of all contractions of one call on the traced arguments.
        activation_bytes: largest sum of live activations, inputs and outputs included, at inference.
        train_gops: operations of forward and backward of one such call, in 1e9, 2 per multiply-add; the
            arguments count as data, without gradients; 0 where the cost was asked for without `train`. The
            additions that gradients of biases take are left out; `Graph.operations` has them.
        uncounted: operators that compute something but have no multiply-adds, and how often they ran.
    """

    params: int
    bytes: int
    macs: int
    activation_bytes: int
    train_gops: float
    uncounted: Mapping[str, int]

    def __str__(self) -> str:
        rows = [f"{name:<17}{value:>18,}" for name, value in asdict(self).items() if name != "uncounted"]
        others = ", ".join(f"{name} x{count}" for name, count in sorted(self.uncounted.items()))
        return "\n".join([*rows, f"not counted: {others or 'nothing'}"])

    def _repr_html_(self) -> str:
        """A table, where a notebook shows the value."""
        rows: list[tuple[Cell, ...]] = [(name, value) for name, value in asdict(self).items() if name != "uncounted"]
        others = [(name, count) for name, count in sorted(self.uncounted.items())]
        return page(
            table("cost of one call", ("figure", "value"), rows),
            table("operators without multiply-adds", ("operator", "times"), others, folded=True) if others else "",
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        return {**asdict(self), "uncounted": dict(self.uncounted)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Cost":
        """The inverse of `to_json`."""
        return cls(**content)


@dataclass(frozen=True, kw_only=True)
class Operations:
    """What training on one call takes, in operations; one multiply-add is two.

    Attributes:
        forward: multiply-adds of the call.
        inputs: multiply-adds for gradients of activations; none where only data lies before.
        weights: multiply-adds for gradients of weights.
        biases: additions for gradients of biases, one for each position that a bias is added to.
    """

    forward: int
    inputs: int
    weights: int
    biases: int

    @property
    def backward(self) -> int:
        """All of the backward pass."""
        return self.inputs + self.weights + self.biases

    @property
    def total(self) -> int:
        """Forward and backward."""
        return self.forward + self.backward


class Weight(NamedTuple):
    """A parameter or buffer: its sizes are `factor` times the kept sizes of its labels."""

    factor: int
    labels: tuple[Label, ...]
    itemsize: int
    is_parameter: bool
    when: int = 0
    """Under which condition it is there; see `_holding`."""


def _indices(branches: Sequence[Branch]) -> list[Weight]:
    """The buffers that scatters read."""
    return [
        Weight(factor=1, labels=(branch.narrow,), itemsize=8, is_parameter=False, when=number)
        for number, branch in enumerate(branches, start=1)
    ]


class CostModel:
    """Counts of everything, as products of the kept sizes of labels.

    All distinct labels are resolved once; a plan is a mark per root, so that one evaluation is a few array
    operations, whatever the model.
    """

    def __init__(self, algebra: Algebra, record: Record, weights: Sequence[Weight]) -> None:
        lives = lives_of(record)
        weights = [*weights, *_indices(record.branches)]
        groups = [entry.labels for entries in (record.terms, weights, lives) for entry in entries]
        self._labels = _LabelTable(algebra, [label for labels in groups for label in labels])
        self._uncounted = dict(record.uncounted)
        contractions = [term for term in record.terms if term.work.forward]
        self._macs = self._labels.products((term.factor, term.labels) for term in contractions)
        self._terms = self._labels.products((term.factor, term.labels) for term in record.terms)
        self._work = np.array([term.work for term in record.terms], dtype=np.int64).reshape(-1, 4)
        self._where = [term.where for term in record.terms]
        self._branches = self._branch_numbers(record.branches)
        self._weights = self._labels.products((weight.factor, weight.labels) for weight in weights)
        self._weight_when = np.array([weight.when for weight in weights], dtype=np.int64)
        self._itemsize = np.array([weight.itemsize for weight in weights], dtype=np.int64)
        self._is_parameter = np.array([weight.is_parameter for weight in weights], dtype=bool)
        self._activations = self._labels.products((life.factor, life.labels) for life in lives)
        self._lives = np.array([[life.born, life.last] for life in lives], dtype=np.int64).reshape(-1, 2)
        self._life_when = np.array([life.when for life in lives], dtype=np.int64)
        self._labels.close()

    def _branch_numbers(self, branches: Sequence[Branch]) -> npt.NDArray[np.int64]:
        """Numbers [branches, 2] of the labels before and behind each scatter."""
        numbers = [(self._labels.number(branch.narrow), self._labels.number(branch.wide)) for branch in branches]
        return np.array(numbers, dtype=np.int64).reshape(-1, 2)

    def _holding(self, when: npt.NDArray[np.int64], kept: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of the conditions hold: 0 always, k where branch k lost a unit of its own, -k where it did not."""
        lost = kept[self._branches[:, 0]] < kept[self._branches[:, 1]]
        state = np.concatenate([[True], lost])
        holding: npt.NDArray[np.bool_] = np.where(when < 0, ~state[np.abs(when)], state[np.abs(when)])
        return holding

    def macs(self, removed: BoolArray) -> int:
        """Multiply-adds once the marked roots are removed."""
        return int(self._macs(self._labels.kept(removed)).sum())

    def count(self, removed: BoolArray) -> dict[str, int]:
        """`macs`, `params` and `bytes` once the marked roots are removed."""
        kept = self._labels.kept(removed)
        sizes = self._weights(kept) * self._holding(self._weight_when, kept)
        return {
            "macs": int(self._macs(kept).sum()),
            "params": int(sizes[self._is_parameter].sum()),
            "bytes": int((sizes * self._itemsize).sum()),
        }

    def cost(self, removed: BoolArray, *, train: bool = True) -> Cost:
        """Everything, once the marked roots are removed."""
        kept = self._labels.kept(removed)
        gops = float((self._terms(kept) @ self._work[:, :3]).sum()) / 1e9 if train else 0.0
        return Cost(
            **self.count(removed),
            activation_bytes=self._peak(self._activations(kept) * self._holding(self._life_when, kept)),
            train_gops=gops,
            uncounted=self._uncounted,
        )

    def operations(self, removed: BoolArray) -> dict[str, Operations]:
        """What training takes in each module, by the path of the innermost that computes, in order of execution."""
        work = self._terms(self._labels.kept(removed))[:, None] * self._work
        layers: dict[str, npt.NDArray[np.int64]] = {}
        for where, row in zip(self._where, work, strict=True):
            layers[where] = layers.get(where, 0) + row
        names = ("forward", "inputs", "weights", "biases")
        return {where: Operations(**dict(zip(names, row.tolist(), strict=True))) for where, row in layers.items()}

    def _peak(self, sizes: npt.NDArray[np.int64]) -> int:
        if not len(sizes):
            return 0
        changes = np.zeros(int(self._lives.max()) + 2, dtype=np.int64)
        np.add.at(changes, self._lives[:, 0], sizes)
        np.add.at(changes, self._lives[:, 1] + 1, -sizes)
        return int(changes.cumsum().max())


class _LabelTable:
    """Distinct labels, and how many of their positions are kept."""

    def __init__(self, algebra: Algebra, labels: Sequence[Label]) -> None:
        algebra.settle(labels)
        self._algebra = algebra
        self._by_label: dict[int, int] = {}
        self._by_free: dict[int, int] = {}
        self._resolved: list[Label] = []

    def number(self, label: Label) -> int:
        """The number of a label; equal ones have equal numbers. 0 stands for "no label", of size 1."""
        number = self._by_label.get(id(label))
        if number is None:
            free = self._algebra.free(label)
            number = self._by_free.setdefault(id(free), len(self._resolved) + 1)
            if number > len(self._resolved):
                self._resolved.append(free)
            self._by_label[id(label)] = number
        return number

    def products(self, rows: Iterable[tuple[int, Sequence[Label]]]) -> Callable[[npt.NDArray[np.int64]], Any]:
        """A function from kept sizes per label to factor x kept x kept ... per row."""
        entries = [(factor, [self.number(label) for label in labels]) for factor, labels in rows]
        width = max((len(numbers) for _, numbers in entries), default=0)
        rows_of_numbers = [numbers + [0] * (width - len(numbers)) for _, numbers in entries]
        table = np.array(rows_of_numbers, dtype=np.int64).reshape(len(entries), width)
        factors = np.array([factor for factor, _ in entries], dtype=np.int64)
        return lambda kept: factors * kept[table].prod(1) if len(factors) else factors

    def close(self) -> None:
        """All labels are known."""
        by_width: dict[int, list[tuple[int, Label]]] = defaultdict(list)
        for number, label in enumerate(self._resolved, start=1):
            if len(label):
                by_width[label.shape[1]].append((number, label))
        self._blocks = [_Block(entries) for entries in by_width.values()]

    def kept(self, removed: BoolArray) -> npt.NDArray[np.int64]:
        """How many positions of every label stay, by its number."""
        kept = np.zeros(len(self._resolved) + 1, dtype=np.int64)
        kept[0] = 1
        for block in self._blocks:
            kept[block.numbers] = block.kept(removed)
        return kept


class _Block:
    """Labels of one width, one after the other."""

    def __init__(self, entries: Sequence[tuple[int, Label]]) -> None:
        self.numbers = np.array([number for number, _ in entries], dtype=np.int64)
        self._rows = np.concatenate([label for _, label in entries])
        self._starts = np.cumsum([0, *[len(label) for _, label in entries]])[:-1]

    def kept(self, removed: BoolArray) -> npt.NDArray[np.int64]:
        """How many positions of each stay."""
        gone = removed[self._rows]
        stays = ~any_of(gone)
        counts: npt.NDArray[np.int64] = np.add.reduceat(stays.astype(np.int64), self._starts)
        return counts
