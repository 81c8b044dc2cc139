"""One operator call as a rule sees it."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from secateurs.graph._activations import Activation, Family, family_in, weight_and_data
from secateurs.graph._indices import Integers
from secateurs.graph._labels import Algebra, Label
from secateurs.graph._masks import MaskAlgebra, is_gone
from secateurs.graph._record import (
    Info,
    Labels,
    Mark,
    MarkKind,
    Product,
    Record,
    SizeUse,
    Term,
    Work,
    constant_factor,
    touch,
)
from secateurs.graph.sizes._provenance import Operation, TensorSize, user_frame

__all__ = ["Call", "Rule", "Run"]

Rule = Callable[["Call"], None]


_NEW = Info(())
"""What is known about a tensor before its operator says something."""


class Run(Protocol):
    """What a call needs to know of the run that it belongs to."""

    algebra: Algebra | MaskAlgebra
    roots: Mapping[int, Info]
    record: Record | None
    values: Mapping[str, Integers]
    modules: list[str]
    sized: bool
    scopes: dict[str, Any]
    dtypes: set[torch.dtype]

    def info(self, tensor: Tensor) -> Info:
        """Labels and more of a tensor."""

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What an operator returns."""

    def fresh(self, n: int) -> Label:
        """A label of `n` units that come into being here."""


class Call:
    """One operator call: its arguments, its labels, its result, and what a rule may say about it.

    The operator runs when `out` is first read. What a rule says with `contract` or `gather` before that decides
    what a masked run reads.
    """

    __slots__ = (
        "_assigned",
        "_done",
        "_indices",
        "_info",
        "_out",
        "_tensors",
        "_viewed",
        "_zeros",
        "algebra",
        "args",
        "func",
        "kwargs",
        "mode",
        "tracing",
    )

    def __init__(self, mode: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.mode, self.func, self.args, self.kwargs = mode, func, args, kwargs
        self.algebra, self._info = mode.algebra, mode.info
        self.tracing = mode.record is not None
        """Whether findings are recorded (and not a masked run)."""
        self._out: Any = None
        self._done = self._assigned = self._viewed = False
        self._tensors: list[Tensor] | None = None
        self._zeros: list[tuple[int, int, Label]] = []
        self._indices: set[str] | None = None

    # ------------------------------------------------------------------ reading

    @property
    def name(self) -> str:
        """The operator, for example `aten.add`."""
        return _name_of(self.func)

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors among the arguments, in order."""
        if self._tensors is None:
            self._tensors = _tensors_in((*self.args, *self.kwargs.values()) if self.kwargs else self.args)
        return self._tensors

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument given by position or by name."""
        return self.args[position] if position < len(self.args) else self.kwargs.get(name, default)

    def labels(self, tensor: Tensor | None) -> Labels:
        """One label per dim of an argument."""
        return () if tensor is None else self._info(tensor).labels

    def why(self, text: str) -> str:
        """A reason that names the operator and the module it ran in."""
        module = self.mode.modules[-1]
        return f"{text} ({self.name}{f' in {module}' if module else ''})"

    # ------------------------------------------------------------------ running

    @property
    def out(self) -> Any:
        """The result; the operator runs now if it has not."""
        if not self._done:
            args = self._masked_args() if self._zeros else self.args
            self.put(self.mode.run(self.func, args, self.kwargs))
        return self._out

    def put(self, result: Any) -> None:
        """Take `result` as what the operator returned."""
        self._out, self._done = result, True
        if not self.tracing:
            self.mode.dtypes |= {tensor.dtype for tensor in self._results()}

    def _results(self) -> list[Tensor]:
        return [self._out] if isinstance(self._out, Tensor) else _tensors_in((self._out,))

    def kept(self, label: Label | None) -> Tensor | None:
        """Indices of the positions that a masked run keeps; `None` where all are."""
        if self.tracing or label is None:
            return None
        gone = is_gone(label)
        return torch.from_numpy(np.flatnonzero(~gone)) if gone.any() else None

    def gather(self, tensor: Tensor, dims: Sequence[int]) -> Tensor:
        """The tensor at the kept positions of some dims."""
        labels = self.labels(tensor)
        for dim in dims:
            index = self.kept(labels[dim])
            if index is not None:
                tensor = tensor.index_select(dim, index.to(tensor.device))
        return tensor

    def scatter(self, values: Tensor, like: Tensor, dims: Sequence[int]) -> Tensor:
        """The inverse of `gather`: zeros of the shape of `like` with `values` at the kept positions."""
        for dim in dims:
            index = self.kept(self.labels(like)[dim])
            if index is not None:
                shape = list(values.shape)
                shape[dim] = like.shape[dim]
                values = values.new_zeros(shape).index_copy_(dim, index.to(values.device), values)
        return values

    def _masked_args(self) -> tuple[Any, ...]:
        args = list(self.args)
        for position, dim, label in self._zeros:
            kept = self.kept(label)
            if kept is not None:
                shape = [1] * args[position].dim()
                shape[dim] = -1
                gone = torch.ones(len(label), dtype=torch.bool).index_fill_(0, kept, False)
                args[position] = args[position].masked_fill(gone.to(args[position].device).reshape(shape), 0)
        return tuple(args)

    # ------------------------------------------------------------------ saying

    def unify(
        self, first: Label | None, second: Label | None, text: str = "tied to a dimension that cannot be cut"
    ) -> None:
        """Both labels are cut together."""
        if first is not second:
            self.algebra.unify(first, second, partial(self.why, text))

    def unify_all(self, labels: Sequence[Label | None], other: Label | None) -> None:
        """Each of the labels is cut together with another one."""
        self.algebra.unify_all(labels, other, partial(self.why, "tied to a dimension that cannot be cut"))

    def reading(self, *tensors: Tensor) -> str:
        """Why a dim stays whose other side has no units."""
        inputs = self.mode.record.inputs if self.mode.record is not None else ()
        if any(tensor.untyped_storage()._cdata in inputs for tensor in tensors):
            return "reads an input of the model"
        return "reads a dimension that cannot be cut"

    def fix(self, label: Label | None, text: str) -> None:
        """The label may not be cut. A masked run has nothing to add to the reasons."""
        if label is not None and self.tracing:
            self.algebra.fix(label, partial(self.why, text))

    def contract(self, first: tuple[int, int], second: tuple[int, int]) -> None:
        """Two arguments, given as (position, dim), are multiplied and summed over these dims."""
        left, right = self.args[first[0]], self.args[second[0]]
        self.unify(self.labels(left)[first[1]], self.labels(right)[second[1]], self.reading(left, right))
        self.read(*first)
        self.read(*second)

    def read(self, position: int, dim: int) -> None:
        """The operator sums over a dim of an argument: a masked run sees zeros at its removed positions."""
        if self.tracing:
            return
        label = self.labels(self.args[position])[dim]
        if label is not None:
            self._zeros.append((position, dim, label))

    def assign(self, *outputs: Sequence[Label | None]) -> None:
        """Labels of each tensor that the operator returns."""
        self._assigned = True
        out, grad = self.out, self.tracing and self._needs_grad()
        if isinstance(out, Tensor):
            self._set(out, tuple(outputs[0]), grad, None)
            return
        tensors = [result for result in out if isinstance(result, Tensor)]
        for tensor, labels in zip(tensors, outputs, strict=False):
            self._set(tensor, tuple(labels), grad, None)

    def _needs_grad(self) -> bool:
        return any(self._info(tensor).grad for tensor in self.tensors)

    def assign_view(self, *outputs: Sequence[Label | None]) -> None:
        """`assign` for views: they keep the origin of the first argument."""
        self._assigned = self._viewed = True
        source = self.mode.info(self.args[0])
        results = self.out if isinstance(self.out, (tuple, list)) else [self.out]
        for tensor, labels in zip(results, outputs, strict=True):
            self._set(tensor, tuple(labels), source.grad, source.origin)

    def _set(self, tensor: Tensor, labels: Labels, grad: bool, origin: str | None) -> None:
        if id(tensor) in self.mode.roots:
            return
        shape = tensor.shape
        if len(labels) != len(shape):
            raise ValueError(f"{self.name}: {len(labels)} labels for {len(shape)} dims")
        for dim, label in enumerate(labels):
            if label is None:
                continue
            size = len(label)
            if size != shape[dim]:
                raise ValueError(f"{self.name}: a label of {size} positions on a dim of {shape[dim]}")
            if size == 1:
                self.fix(label, "a single position")
                labels = (*labels[:dim], None, *labels[dim + 1 :])
        if origin is None:
            # What is written in place is still what it was a view of.
            origin = getattr(tensor, "_secateurs_info", _NEW).origin
        tensor._secateurs_info = Info(labels, grad and tensor.is_floating_point(), origin)  # type: ignore[attr-defined]

    def mark(self, kind: MarkKind, label: Label | None, *, producer: Tensor | None = None, text: str = "") -> None:
        """Say what the units of a label are; with `producer`, that this operator makes them from that weight."""
        record = self.mode.record
        if record is None or label is None:
            return
        path = None if producer is None else self._info(producer).origin or self.mode.modules[-1]
        record.marks.append(Mark(kind, label, path, self.why(text) if text else ""))

    def separate(self, label: Label | None, weight: Tensor | None = None) -> None:
        """Each of these units comes from its own rows of the weight, so that those rows may go alone."""
        record = self.mode.record
        if record is None or label is None:
            return
        operands = tuple([self._info(tensor).origin for tensor in self.tensors])
        path = None if weight is None else self._info(weight).origin
        record.products.append(Product(label, path, operands, record.operators))

    def macs(
        self, dims: Sequence[tuple[int, Label | None]], operands: Sequence[Tensor], weight: Tensor | None = None
    ) -> None:
        """Multiply-adds of this call: the product of the dims, each a size and its label.

        `weight` is the operand that counts as one; without, those do that are parameters or views of them.
        """
        record = self.mode.record
        if record is None:
            return
        factor, labels = constant_factor(dims)
        gradients = [0, 0]
        for operand in operands:
            info = self._info(operand)
            gradients[info.origin is not None if weight is None else operand is weight] += 2 * info.grad
        record.terms.append(Term(self.mode.modules[-1], factor, labels, Work(2, *gradients)))

    def index(self, path: str, counted: Label) -> None:
        """The call uses integers of the model as an index: their values count the positions of a dim."""
        self._indices = {*(self._indices or ()), path}
        if self.mode.record is not None:
            self.mode.record.counted.setdefault(path, []).append(counted)

    def numbered(self, tensor: Tensor, label: Label | None, text: str) -> None:
        """A result holds numbers of positions of `label`: where anything reads it, they stay."""
        record = self.mode.record
        if record is None or label is None:
            return
        origin = f"numbers {len(record.numbered)}"
        record.numbered[origin] = (label, self.why(text))
        self._set(tensor, self.mode.info(tensor).labels, False, origin)

    def size(self, name: str, label: Label | None, literal: int) -> None:
        """The operator takes the size of `label` as an argument called `name`; tie it to where it came from."""
        if self.mode.record is None or label is None:
            return
        expression, where = self.mode.scopes.get(name, (None, ""))
        if expression is None:
            self.fix(label, f"{name}={literal} is written in the code{f' at {where}' if where else ''}")
        else:
            self.mode.record.sizes.append(SizeUse(expression=expression, label=label, where=where))

    def aligned(self, label: Label | None, size: int, multiple: int) -> None:
        """The operator takes only sizes that are a multiple of this; what it cannot take anyway is not its matter."""
        if self.mode.record is not None and label is not None and multiple > 1 and size % multiple == 0:
            rest = Operation(operator.mod, (TensorSize(label, size), multiple))
            self.mode.record.sizes.append(
                SizeUse(expression=rest, label=label[:0], where=f"{user_frame()} (multiples)")
            )

    # ------------------------------------------------------------------ bookkeeping

    def close(self) -> None:
        """After the rule: outputs it left alone have no labels, and the trace's ledger is kept."""
        results = self._results()
        if not self._assigned:
            for tensor in results:
                if getattr(tensor, "_secateurs_info", None) is None:
                    self._set(tensor, (None,) * tensor.dim(), False, None)
        record = self.mode.record
        if record is None:
            return
        family = family_in(self.func, self.args)
        if family is not None and results:
            self._note_activation(record, family, results[0])
        record.operators += 1
        for tensor in self.tensors:
            info = self._info(tensor)
            if info.origin is not None:
                self._note_use(record, tensor, info)
            touch(record, tensor, info)
        for tensor in results:
            touch(record, tensor, self._info(tensor))

    def _note_activation(self, record: Record, family: Family, result: Tensor) -> None:
        if family != "product":
            record.activations.append(Activation(family, "", record.operators, self._info(result).labels))
            return
        origins = [self._info(tensor).origin for tensor in self.tensors]
        path, data = weight_and_data(self.tensors, origins)
        if path is not None and data is not None:
            shown: tuple[tuple[Family, Tensor], ...] = (("input", data), ("product", result))
            for kind, tensor in shown:
                record.activations.append(Activation(kind, path, record.operators, self._info(tensor).labels))

    def _note_use(self, record: Record, tensor: Tensor, info: Info) -> None:
        """A call takes a weight, or a view of it."""
        path = info.origin or ""
        record.used.add(path)
        if self._viewed:
            return
        if id(tensor) in self.mode.roots:
            record.partly[path] = None
        elif (parts := record.partly.setdefault(path, [])) is not None:
            parts.append(info.labels)  # it may be a part only
        if path in self.mode.values and path not in (self._indices or ()):
            record.otherwise.setdefault(path, f"read by {self.name} at {user_frame()}")

    def uncounted(self) -> None:
        """Note that this call computes something that is not in the multiply-adds."""
        if self.mode.record is not None:
            counts, name = self.mode.record.uncounted, self.name
            counts[name] = counts.get(name, 0) + 1


def _tensors_in(values: Iterable[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)) and value and not isinstance(value[0], int):
            found += _tensors_in(value)
    return found


@cache
def _name_of(func: Any) -> str:
    return str(func.overloadpacket)
