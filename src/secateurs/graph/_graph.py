"""The graph: what may be cut in a model, what it costs, and plans made from it."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.graph._axes import Axis, Fixed, draft_axes, find_fixed, name_axes
from secateurs.graph._cost import Cost, CostModel, Operations, Weight
from secateurs.graph._declared import declared_edits
from secateurs.graph._html import page, table
from secateurs.graph._labels import Algebra
from secateurs.graph._plan import Cut, Edit, Plan, Renumber
from secateurs.graph._record import Info, Record, constant_factor
from secateurs.graph._removal import Removal
from secateurs.graph._scatters import narrow_sizes, scatters
from secateurs.graph.model._inputs import describe_inputs
from secateurs.graph.model._tensors import module_at, modules_of, plain_tensors, tensors_of
from secateurs.graph.sizes._coupling import Coupling, EqualShares, number_marks, size_labels, tie_attributes
from secateurs.graph.sizes._provenance import attributes_in
from secateurs.graph.sizes._solve import Conflict, SizeSolver

__all__ = ["Graph"]

BoolArray = npt.NDArray[np.bool_]


class Graph:
    """What may be cut in a model. Made by `trace`; refers to the model and changes nothing in it.

    Attributes:
        model: the traced module.
        axes: every prunable dimension, in execution order of its first producer.
        couplings: axes that only follow one another when cut by equal shares.
        fixed: what may not be cut, and why.
        free_outputs: whether the widths of the outputs may shrink.
        outputs: the labels of every tensor that the call returns, one for each dim.
        activations: results that are known again when the model really runs, in execution order.
        notes: what to know about how it was found, for example that the code depends on the example's values.
    """

    def __init__(
        self,
        model: nn.Module,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        algebra: Algebra,
        record: Record,
        weights: Mapping[str, Info],
    ) -> None:
        self.model, self.args, self.kwargs = model, args, dict(kwargs)
        self.notes, self.free_outputs = tuple(record.notes), record.free_outputs
        self.outputs = tuple(record.outputs)
        self.activations = tuple(record.activations)
        self.algebra, self.weights, self.operators, self.made = algebra, weights, record.operators, record.made
        self._counted = {path: labels[0] for path, labels in record.counted.items()}
        self.branches, self._narrow = tuple(record.branches), tuple(record.narrow)
        self._asked = _asked(record)
        tie_attributes(algebra, record)
        self._solver = SizeSolver(algebra, record)
        self.axes, self.couplings = self._solvable_axes(record)
        self._marks = record.marks
        self._by_name = {axis.name: axis for axis in self.axes}
        tensors = tensors_of(model)
        self.shapes: Mapping[str, tuple[int, ...]] = {path: tuple(tensors[path].shape) for path in weights}
        self.counts = CostModel(algebra, record, _weigh(tensors, weights))

    @cached_property
    def fixed(self) -> tuple[Fixed, ...]:
        """What may not be cut, and why; put together when first asked for."""
        return find_fixed(self.algebra, self.weights, self._marks)

    def _solvable_axes(self, record: Record) -> tuple[tuple[Axis, ...], tuple[Coupling, ...]]:
        """Axes and couplings, without what the code cannot follow: that is fixed, with the reason."""
        marks, borders = [*record.marks, *number_marks(record)], size_labels(self._solver)
        drafts = draft_axes(self.algebra, self.weights, marks, borders)
        shares = EqualShares(drafts, self._solver, self.algebra)
        stuck = {number: "a single unit" for number, draft in enumerate(drafts) if draft.size == 1} | shares.stuck
        for number, why in stuck.items():
            self.algebra.fix(drafts[number].atoms[:, None], why)
        left = [number for number in range(len(drafts)) if number not in stuck]
        axes = name_axes([replace(drafts[number], exact=shares.exact(number)) for number in left])
        return axes, shares.couplings({number: axis.name for number, axis in zip(left, axes, strict=True)})

    # ------------------------------------------------------------------ reading

    def __getitem__(self, name: str) -> Axis:
        """The axis of that name.

        Raises:
            PlanError: there is none; the nearest is given.
        """
        if name not in self._by_name:
            cure = nearest_hint(name, self._by_name, "print(graph) lists all axes.")
            raise PlanError(f"axis {name!r}", wanted="the name of an axis", got="no such axis", cure=cure)
        return self._by_name[name]

    def tensor(self, path: str) -> Tensor:
        """The model's parameter or buffer at a path, as it is now."""
        parent, _, name = path.rpartition(".")
        tensor: Tensor = getattr(module_at(self.model, parent), name)
        return tensor

    def cost(self, plan: Plan | None = None, *, train: bool = True) -> Cost:
        """The cost of one call on the traced arguments, dense or as after a plan; the model is not run."""
        return self.counts.cost(self.roots_of({} if plan is None else plan.removed), train=train)

    def operations(self, plan: Plan | None = None) -> dict[str, Operations]:
        """What training on the traced arguments takes in each module, dense or as after a plan.

        Keys are paths of the innermost modules that compute, in order of execution; "" is the model's own code.
        """
        return self.counts.operations(self.roots_of({} if plan is None else plan.removed))

    def roots_of(self, removed: Mapping[str, Iterable[int]]) -> BoolArray:
        """A mark per atom of the algebra, set for the removed units of each axis.

        Raises:
            PlanError: an unknown axis, or units that it does not have.
        """
        units = {name: _checked_units(self[name], indices) for name, indices in removed.items()}
        return self.removed_roots({name: self[name].atoms[list(indices)] for name, indices in units.items()})

    def removed_roots(self, atoms: Mapping[str, npt.NDArray[np.int64]]) -> BoolArray:
        """A mark per atom of the algebra, set for the given ones."""
        removed = np.zeros(len(self.algebra), dtype=bool)
        for array in atoms.values():
            removed[array] = True
        return removed

    def __str__(self) -> str:
        rows = [f"{'axis':<44}{'kind':<10}{'units':>7}  {'exact':<6}{'members':>8}"]
        for axis in self.axes:
            exact = "yes" if axis.exact else "no"
            rows.append(f"{axis.name:<44}{axis.kind:<10}{axis.size:>7}  {exact:<6}{len(axis.members):>8}")
        sizes = [axis.size for axis in self.axes if axis.kind != "branch"]
        branches = f", and {more} branches of sums" if (more := len(self.axes) - len(sizes)) else ""
        rows += ["", f"{len(sizes)} axes, {sum(sizes):,} units{branches}"]
        if self.couplings:
            rows += ["", "cut by equal shares:", *[f"  {coupling}" for coupling in self.couplings]]
        if self.fixed:
            rows += ["", "not prunable:", *[f"  {entry}" for entry in self.fixed]]
        rows += ["", *[f"note: {note}" for note in self.notes]] if self.notes else []
        return "\n".join(rows)

    def __repr__(self) -> str:
        return f"Graph({type(self.model).__name__}, {len(self.axes)} axes, {self.operators} operators)"

    def _repr_html_(self) -> str:
        """Tables, where a notebook shows the graph."""
        axes = [
            (axis.name, axis.kind, axis.size, "yes" if axis.exact else "no", len(axis.members)) for axis in self.axes
        ]
        fixed = [(entry.path, entry.dim, entry.count, entry.size, entry.why) for entry in self.fixed]
        shares, notes = [(str(coupling),) for coupling in self.couplings], [(note,) for note in self.notes]
        return page(
            table(f"{len(axes)} axes", ("axis", "kind", "units", "exact", "members"), axes),
            table("cut by equal shares", ("axes",), shares) if shares else "",
            table("not prunable", ("tensor", "dim", "positions", "of", "why"), fixed, folded=True) if fixed else "",
            table("notes", ("note",), notes) if notes else "",
        )

    # ------------------------------------------------------------------ planning

    def plan(self, removed: Mapping[str, Iterable[int] | Tensor]) -> Plan:
        """A plan that removes the given units of the given axes, fully checked; nothing is changed.

        Raises:
            PlanError: an unknown axis, an index out of range or not an integer, everything removed, or a cut that
                the model's code cannot follow.
        """
        units = {name: _checked_units(self[name], indices) for name, indices in removed.items()}
        units = {name: indices for name, indices in units.items() if indices}
        roots = self.roots_of(units)
        removal = Removal(self.algebra, roots)
        edits, conflicts = self._solver.solve(removal.kept)
        if conflicts:
            raise self._refused(units, conflicts)
        cuts = self._cuts(units, removal)
        replaced, found = self._replaced(cuts), scatters(self.algebra, self.branches, roots)
        edits += narrow_sizes(self._narrow, removal.kept)
        return Plan(
            removed=units,
            sizes={axis.name: axis.size for axis in self.axes},
            cuts=cuts,
            edits=(*edits, *declared_edits(self.model, self.shapes, cuts, edits, self._asked)),
            renumbered=self._renumbered(removal),
            scatters=found,
            replaced=replaced,
            shapes=self.shapes,
            aliases=_aliases(self.model),
            inputs=describe_inputs(self.args, self.kwargs, free_outputs=self.free_outputs),
            before=self.cost(),
            cost=self.counts.cost(roots),
            graph=self,
        )

    def edits(self, removed: Mapping[str, Iterable[int]]) -> tuple[Edit, ...]:
        """Attributes that surgery sets so that the code follows a removal."""
        return tuple(self._solver.solve(Removal(self.algebra, self.roots_of(removed)).kept)[0])

    def _refused(self, units: Mapping[str, Sequence[int]], conflicts: Sequence[Conflict]) -> PlanError:
        first = conflicts[0]
        more = f" and {len(conflicts) - 1} more places" if len(conflicts) > 1 else ""
        cure = f"Leave out or change one of the axes {', '.join(list(units)[:5])}."
        lost = {name: len(indices) for name, indices in units.items()}
        broken = next((coupling for coupling in self.couplings if not coupling.even(lost)), None)
        if broken is not None:
            cure = f"Cut these by equal shares, as select does: {broken}."
        return PlanError(f"{first.where}{more}", wanted=f"a size of {first.wanted}", got=first.got, cure=cure)

    def _cuts(self, units: Mapping[str, Sequence[int]], removal: Removal) -> tuple[Cut, ...]:
        places = sorted({(member.path, member.dim) for name in units for member in self[name].members})
        cuts = []
        for path, dim in places:
            label = self.weights[path].labels[dim]
            assert label is not None
            positions = removal.positions(label)
            if len(positions) == len(label):
                cure = "Keep at least one unit on every dim."
                raise PlanError(f"{path}[{dim}]", wanted="a unit that stays", got="all removed", cure=cure)
            if positions:
                cuts.append(Cut(path=path, dim=dim, size=len(label), removed=positions))
        return tuple(cuts)

    def _renumbered(self, removal: Removal) -> tuple[Renumber, ...]:
        gone = {path: removal.positions(label) for path, label in self._counted.items()}
        return tuple(Renumber(path=path, removed=positions) for path, positions in gone.items() if positions)

    def _replaced(self, cuts: Sequence[Cut]) -> tuple[str, ...]:
        if not any(type(module) is nn.MultiheadAttention for module in modules_of(self.model).values()):
            return ()
        steps = [cut.path.split(".") for cut in cuts]
        around = {".".join(names[:length]) for names in steps for length in range(len(names))}
        modules = self.model.named_modules(remove_duplicate=False)
        return tuple(path for path, module in modules if type(module) is nn.MultiheadAttention and path in around)


def _asked(record: Record) -> Set[tuple[str, str]]:
    """Path and name of all attributes that the code takes sizes from."""
    uses = [use.expression for use in record.sizes] + [use.expression for use in record.numbers] + [*record.constant]
    return {(attribute.path, attribute.name) for use in uses for attribute in attributes_in(use)}


def _checked_units(axis: Axis, indices: Iterable[int] | Tensor) -> tuple[int, ...]:
    where = f"axis {axis.name!r}"
    if not isinstance(indices, Iterable) or (isinstance(indices, Tensor) and indices.dim() != 1):
        cure = "Pass the indices to remove as a list."
        raise PlanError(where, wanted="a sequence of unit indices", got=repr(indices), cure=cure)
    if isinstance(indices, Tensor):
        indices = indices.tolist()
    given = indices.tolist() if isinstance(indices, np.ndarray) and indices.ndim == 1 else list(indices)
    for index in given:
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)):
            raise PlanError(where, wanted="integer unit indices", got=repr(index), cure="Pass the indices to remove.")
        if not 0 <= index < axis.size:
            wanted = f"unit indices from 0 to {axis.size - 1}"
            raise PlanError(where, wanted=wanted, got=str(index), cure="Remove units that the axis has.")
    units = tuple(sorted({int(index) for index in given}))
    if len(units) == axis.size:
        raise PlanError(where, wanted="a unit that stays", got=f"all {axis.size} removed", cure="Keep at least one.")
    return units


def _all_paths(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """All modules under each of their paths."""
    found, pending = [], [("", model)]
    while pending:
        path, module = pending.pop()
        found.append((path, module))
        children = [(name, child) for name, child in module._modules.items() if child is not None]
        pending += [(f"{path}.{name}" if path else name, child) for name, child in reversed(children)]
    return found


def _aliases(model: nn.Module) -> dict[str, str]:
    """Every further path of a tied parameter or buffer, to its first path."""
    modules, first, aliases = _all_paths(model), dict[int, str](), dict[str, str]()
    for registry in ("_parameters", "_buffers"):
        for path, module in modules:
            for name, tensor in getattr(module, registry).items():
                if tensor is not None:
                    _note_path(f"{path}.{name}" if path else name, tensor, first, aliases)
    for path, tensor in plain_tensors(model).items():
        _note_path(path, tensor, first, aliases)
    return aliases


def _note_path(path: str, tensor: Tensor, first: dict[int, str], aliases: dict[str, str]) -> None:
    canonical = first.setdefault(id(tensor), path)
    if canonical != path:
        aliases[path] = canonical


def _weigh(tensors: Mapping[str, Tensor], weights: Mapping[str, Info]) -> list[Weight]:
    found = []
    for path, info in weights.items():
        tensor = tensors[path]
        factor, labels = constant_factor(list(zip(tensor.shape, info.labels, strict=True)))
        is_parameter, itemsize = isinstance(tensor, nn.Parameter), tensor.element_size()
        found.append(Weight(factor=factor, labels=labels, itemsize=itemsize, is_parameter=is_parameter))
    return found
