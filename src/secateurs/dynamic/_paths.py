"""What a block passes on when the function that it adds to its input is left out, read from the block's code."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from operator import add, iadd, imul, isub, itruediv
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, fx, nn

__all__ = ["SkipPath", "skip_path"]

_ADDS = {add, iadd, torch.add}
_IN_PLACE = {iadd, imul, isub, itruediv}
_ADD_METHODS = {"add", "add_"}


class _Slot(NamedTuple):
    """In the arguments of a step: the result of an earlier one."""

    number: int


@dataclass(frozen=True, kw_only=True)
class _Step:
    kind: Literal["call_module", "call_function", "call_method", "get_attr"]
    target: Any
    args: Any
    kwargs: Any


@dataclass(frozen=True, kw_only=True)
class SkipPath:
    """A block with zero in the place of what it adds: its input, projected where the shape changes, then activated.

    Attributes:
        steps: what is called, in order; slot 0 is the block's input, slot i + 1 the result of step i.
        result: the slot that is passed on.
        modules: names in the block of the modules on the path.
        mutates: a step may write into the block's input.
    """

    steps: tuple[_Step, ...]
    result: int
    modules: tuple[str, ...]
    mutates: bool = False

    def run(self, block: nn.Module, x: Tensor, known: Mapping[str, Tensor] | None = None) -> Tensor:
        """What the block passes on; never `x` written into.

        Args:
            known: what modules on the path have given for `x` already; what leads to them is not computed again.
        """
        found: Tensor = _Passage(self, block, x.clone() if self.mutates else x, known or {}).slot(self.result)
        return found

    def weighs(self, block: nn.Module) -> bool:
        """Whether the path has weights of its own: then it is not for images that do not need it."""
        return bool(self.weighing(block))

    def weighing(self, block: nn.Module) -> list[str]:
        """Names of the modules on the path that have weights."""
        return [name for name in self.modules if next(block.get_submodule(name).parameters(), None) is not None]


def skip_path(block: nn.Module) -> SkipPath | None:
    """The path, or None where the block adds nothing to a function of its one input, or cannot be read.

    A sum counts where both terms depend on the input and one takes more parameters to get at than the other: that one
    is left out. Modules inside are taken as a whole, whatever they do.
    """
    try:
        graph = _Shallow().trace(block)
    except Exception:  # noqa: BLE001 - proxies run through the user's code, which may raise anything at them
        return None
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    outputs = [node for node in graph.nodes if node.op == "output"]
    if not inputs or len(outputs) != 1 or not isinstance(outputs[0].args[0], fx.Node):
        return None
    left_out = _shortcuts(block, graph, inputs[0])
    if not left_out:
        return None
    path = _Reader(block, inputs[0], left_out).path(outputs[0].args[0])
    return path if path is not None and _parameters(block, path.modules) < _parameters(block, [""]) else None


class _Shallow(fx.Tracer):
    """Children are not looked into: they may have hooks, and code that no proxy gets through."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002 - torch's signature
        return True


def _shortcuts(block: nn.Module, graph: fx.Graph, start: fx.Node) -> dict[fx.Node, fx.Node]:
    """Each sum of which a term is left out, with the other term."""
    before: dict[fx.Node, set[fx.Node]] = {}
    found = {}
    for node in graph.nodes:
        before[node] = {node}.union(*(before[other] for other in node.all_input_nodes))
        terms = [term for term in node.args[:2] if isinstance(term, fx.Node)]
        if not _is_sum(node) or len(terms) != 2 or not all(start in before[term] for term in terms):
            continue
        first, second = terms
        own = [_weight(block, before[a] - before[b]) for a, b in ((first, second), (second, first))]
        if own[0] != own[1]:
            found[node] = second if own[0] > own[1] else first
    return found


def _is_sum(node: fx.Node) -> bool:
    # A factor (`alpha`) would have to be carried along.
    plain = not node.kwargs
    return plain and (
        (node.op == "call_function" and node.target in _ADDS)
        or (node.op == "call_method" and node.target in _ADD_METHODS)
    )


def _weight(block: nn.Module, nodes: set[fx.Node]) -> int:
    return _parameters(block, {str(node.target) for node in nodes if node.op == "call_module"}) + sum(
        getattr(_attribute(block, str(node.target)), "numel", int)() for node in nodes if node.op == "get_attr"
    )


def _parameters(block: nn.Module, names: Any) -> int:
    modules = [block.get_submodule(name) for name in names]
    return sum(tensor.numel() for tensor in {id(p): p for p in chain(*(m.parameters() for m in modules))}.values())


class _Reader:
    """Goes back from the output, past the terms that are left out."""

    def __init__(self, block: nn.Module, start: fx.Node, shortcuts: dict[fx.Node, fx.Node]) -> None:
        self._block = block
        self._shortcuts = shortcuts
        self._slots = {start: 0}
        self._steps: list[_Step] = []

    def path(self, end: fx.Node) -> SkipPath | None:
        """The path to this node; None if it needs more than the block's first input."""
        end = self._real(end)
        for node in _needed(end, self._real):
            if node in self._slots:
                continue
            if node.op == "placeholder":
                return None
            args, kwargs = (fx.node.map_arg(part, self._slot) for part in (node.args, node.kwargs))
            self._steps.append(_Step(kind=node.op, target=node.target, args=args, kwargs=kwargs))  # type: ignore[arg-type]
            self._slots[node] = len(self._steps)
        modules = tuple(step.target for step in self._steps if step.kind == "call_module")
        writes = any(_writes(self._block, step) for step in self._steps)
        return SkipPath(steps=tuple(self._steps), result=self._slots[end], modules=modules, mutates=writes)

    def _real(self, node: fx.Node) -> fx.Node:
        while node in self._shortcuts:
            node = self._shortcuts[node]
        return node

    def _slot(self, node: fx.Node) -> Any:
        return _Slot(self._slots[self._real(node)])


def _needed(end: fx.Node, real: Callable[[fx.Node], fx.Node]) -> Iterator[fx.Node]:
    """In the order of execution."""
    seen, pending = {end}, [end]
    while pending:
        for node in map(real, pending.pop().all_input_nodes):
            if node not in seen:
                seen.add(node)
                pending.append(node)
    return (node for node in end.graph.nodes if node in seen)


def _writes(block: nn.Module, step: _Step) -> bool:
    """Whether a step may write into what it is given."""
    if step.kind == "call_module":
        return any(getattr(module, "inplace", False) is True for module in block.get_submodule(step.target).modules())
    if step.kind == "call_method":
        return str(step.target).endswith("_")
    name = getattr(step.target, "__name__", "")
    return step.kwargs.get("inplace") is True or name.endswith("_") or step.target in _IN_PLACE


class _Passage:
    """One image, or several, on the path: what is asked for is computed, once."""

    def __init__(self, path: SkipPath, block: nn.Module, x: Tensor, known: Mapping[str, Tensor]) -> None:
        self._path, self._block, self._known = path, block, known
        self._slots: dict[int, Any] = {0: x}

    def slot(self, number: int) -> Any:
        """Its value."""
        if number not in self._slots:
            self._slots[number] = self._carried_out(self._path.steps[number - 1])
        return self._slots[number]

    def _carried_out(self, step: _Step) -> Any:
        if step.kind == "call_module" and step.target in self._known:
            return self._known[step.target]
        if step.kind == "get_attr":
            return _attribute(self._block, step.target)
        args, kwargs = self._filled(step.args), self._filled(step.kwargs)
        if step.kind == "call_module":
            return self._block.get_submodule(step.target)(*args, **kwargs)
        if step.kind == "call_method":
            return getattr(args[0], step.target)(*args[1:], **kwargs)
        return step.target(*args, **kwargs)

    def _filled(self, part: Any) -> Any:
        if isinstance(part, _Slot):
            return self.slot(part.number)
        if isinstance(part, tuple | list):
            return type(part)(self._filled(item) for item in part)
        if isinstance(part, dict):
            return {key: self._filled(value) for key, value in part.items()}
        if isinstance(part, slice):
            return slice(*(self._filled(end) for end in (part.start, part.stop, part.step)))
        return part


def _attribute(block: nn.Module, path: str) -> Any:
    parent, _, name = path.rpartition(".")
    return getattr(block.get_submodule(parent), name)
