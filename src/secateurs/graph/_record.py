"""What a trace writes down: facts about tensors, units, sizes, multiply-adds and memory."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from torch import Tensor

from secateurs.graph._activations import Activation
from secateurs.graph._labels import Label

__all__ = [
    "FOREVER",
    "Branch",
    "Info",
    "Labels",
    "Mark",
    "MarkKind",
    "Moment",
    "NumberUse",
    "Passage",
    "Product",
    "Record",
    "SizeUse",
    "Storage",
    "Term",
    "Work",
    "constant_factor",
    "touch",
]

Labels = tuple[Label | None, ...]
MarkKind = Literal["channel", "hidden", "embed", "head", "head_dim", "group", "branch", "inexact"]


class Info(NamedTuple):
    """What is known about a tensor."""

    labels: Labels
    grad: bool = False
    """Whether a backward pass would need its gradient."""
    origin: str | None = None
    """Path of the parameter or buffer that it is a view of."""


class Work(NamedTuple):
    """Operations for each product of a term's sizes; a multiply-add is two."""

    forward: int = 0
    inputs: int = 0
    """For gradients of activations."""
    weights: int = 0
    """For gradients of weights."""
    biases: int = 0
    """For gradients of biases: one addition for each position."""


class Term(NamedTuple):
    """What one contraction takes, or the sum that is the gradient of one bias.

    The number of products is `factor` times the kept sizes of `labels`.
    """

    where: str
    factor: int
    labels: tuple[Label, ...]
    work: Work


@dataclass(kw_only=True, slots=True, eq=False)
class Storage:
    """One allocation: `factor` bytes times the kept sizes of `labels`, alive from operator `born` to `last`.

    Here operators count from 1, for 0 is the time before the first; elsewhere from 0.
    """

    factor: int
    labels: tuple[Label, ...]
    born: int
    last: int
    owner: Any
    """Keeps the storage alive, so that its address is not used again during the trace."""


class Mark(NamedTuple):
    """Something said about the units of a label."""

    kind: MarkKind
    label: Label
    path: str | None = None
    """The producing parameter or module, where the operator produces these units; empty where nothing names it."""
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class SizeUse:
    """The code asks for a size: the expression must equal the kept size of the label."""

    expression: Any
    label: Label
    where: str
    """File, line and operator."""


@dataclass(frozen=True, kw_only=True)
class NumberUse:
    """The code computes with a size as a number, so that a cut changes what it computes."""

    expression: Any
    where: str


class Product(NamedTuple):
    """An operator after which every unit depends on its own rows of some weights alone, beside what is shared."""

    label: Label
    weight: str | None
    """Path of the weight whose rows make the units; `None` where it only scales them (a batch norm)."""
    operands: tuple[str | None, ...]
    """Paths of all tensors that it takes; `None` for those that are no weights."""
    operator: int


class Moment(NamedTuple):
    """How far a trace has got: how many operators, size uses and terms there are."""

    operators: int
    sizes: int
    terms: int


class Passage(NamedTuple):
    """A call of a module that returned a tensor."""

    path: str
    start: Moment
    end: Moment
    labels: Labels
    storage: int
    version: int
    """How often the storage was written to since it was made."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Branch:
    """A producer of a sum whose units can go alone.

    Attributes:
        path: of the module behind which zeros are put in.
        dim: of that module's output, counted from the back.
        wide: int array [n, k], the label of the stream, which the output has behind the scatter.
        narrow: int array [n, k + 1], the label before it.
        operator: number of the operator that follows the module's call.
        storage: of the module's output.
    """

    path: str
    dim: int
    wide: Label
    narrow: Label
    operator: int
    storage: Storage


@dataclass(kw_only=True)
class Record:
    """All that a trace writes down beside the labels."""

    terms: list[Term] = field(default_factory=list)
    storages: dict[int, Storage] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    sizes: list[SizeUse] = field(default_factory=list)
    numbers: list[NumberUse] = field(default_factory=list)
    constant: dict[Any, str] = field(default_factory=dict)
    """Attributes whose value the code needs as it is, and where: surgery may not set them."""
    uncounted: dict[str, int] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    inputs: set[int] = field(default_factory=set)
    """Addresses of the storages of the call's arguments."""
    counted: dict[str, list[Label]] = field(default_factory=dict)
    """Path of an index to the labels of the dims whose positions its values count."""
    partly: dict[str, list[Labels] | None] = field(default_factory=dict)
    """Path of a weight to the labels of its views that were read; `None` where it was read as a whole."""
    numbered: dict[str, tuple[Label, str]] = field(default_factory=dict)
    """Origin of a result that holds numbers of positions to the label of these, and why they would stay."""
    otherwise: dict[str, str] = field(default_factory=dict)
    """Integers of the model that some call reads other than as an index, and where."""
    made: dict[str, list[Label]] = field(default_factory=dict)
    """Labels of dims that operators brought in, by the line of code that ran, in order."""
    products: list[Product] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    """Calls of modules, inner ones before those around them."""
    sums: list[Label] = field(default_factory=list)
    """Labels of whole tensors that are added to others."""
    branches: list[Branch] = field(default_factory=list)
    narrow: list[SizeUse] = field(default_factory=list)
    """Attributes that are nothing but the size of a dim that can lose units of its own; in no equation with others."""
    operators: int = 0

    def moment(self) -> Moment:
        """Now."""
        return Moment(self.operators, len(self.sizes), len(self.terms))

    free_outputs: bool = False
    """Whether the sizes of what the call returns may change."""
    outputs: list[Labels] = field(default_factory=list)
    """Labels of the promised tensors that the call returns."""
    activations: list[Activation] = field(default_factory=list)
    """Results that are known again when the model really runs, in order."""
    notes: list[str] = field(default_factory=list)
    """What a reader of the graph has to know about how it was found."""


FOREVER = 2**62
"""Later than every operator."""


def touch(record: Record, tensor: Tensor, info: Info) -> Storage:
    """Note that the running operator uses the storage of a tensor; weights count nothing."""
    owner, now = tensor.untyped_storage(), record.operators
    place = owner._cdata
    storage = record.storages.get(place)
    if storage is None:
        n_bytes, labels = 0, _NO_LABELS
        if info.origin is None:
            factor, labels = constant_factor(zip(tensor.shape, info.labels, strict=True))
            n_bytes = factor * tensor.element_size()
        storage = Storage(factor=n_bytes, labels=labels, born=now, last=now, owner=owner)
        record.storages[place] = storage
    elif storage.last < now:
        storage.last = now
    return storage


_NO_LABELS: tuple[Label, ...] = ()


def constant_factor(dims: Iterable[tuple[int, Label | None]]) -> tuple[int, tuple[Label, ...]]:
    """The sizes without labels multiplied, and the labels of the others."""
    factor, labels = 1, []
    for size, label in dims:
        if label is None:
            factor *= size
        else:
            labels.append(label)
    return int(factor), tuple(labels)
