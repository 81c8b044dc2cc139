"""What passes by at sites while a model runs, as tensors that autograd knows."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from secateurs.criteria._sites import Site
from secateurs.criteria._uses import Use, given, others, uses
from secateurs.graph import Graph, module_at, tensors_of

__all__ = ["See", "Sight", "watched", "written_to"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sight:
    """One tensor at one site.

    Attributes:
        site: where.
        values: the tensor.
        dim: the one with the site's positions, negative; a grouped convolution has several channels for a position:
            channel c is at position c modulo the number of positions.
        first: the position of the first channel, where a slice of the weight works.
    """

    site: Site
    values: Tensor
    dim: int
    first: int = 0

    @property
    def groups(self) -> int:
        """How many channels each position has."""
        return max(self.values.shape[self.dim] // self.site.size, 1)

    @property
    def others(self) -> tuple[int, ...]:
        """All dims but that of the positions."""
        return tuple(dim for dim in range(self.values.dim()) if dim != self.values.dim() + self.dim)


See = Callable[[Sight], Tensor]
"""Told of a sight, it says which tensor goes on in its place: usually the same."""


@contextmanager
def watched(graph: Graph, sites: Iterable[Site], see: See) -> Iterator[None]:
    """Inside, `see` is told whatever passes by at these sites.

    Weights are known by their memory, in convolutions and matrix products, whatever module or function calls them. One
    that is made anew on each call (standardised, normed) is known as the only one of its shape in its module.
    """
    mode = _Watch(graph, see)
    with ExitStack() as stack:
        for site in sites:
            if site.kind == "left":
                hook = partial(_leave, site, see)
                stack.callback(module_at(graph.model, site.path).register_forward_hook(hook).remove)
            else:
                mode.add(site)
        mode.follow(stack)
        stack.enter_context(mode)
        yield


def written_to(graph: Graph, sites: Iterable[Site], run: Callable[[], object]) -> set[Site]:
    """Those of the sites where code, while `run` calls the model, writes into what was made or left there."""
    found: list[tuple[Site, Tensor, int]] = []

    def see(sight: Sight) -> Tensor:
        if sight.site.kind != "read":
            found.append((sight.site, sight.values, sight.values._version))
        return sight.values

    with torch.no_grad(), watched(graph, sites, see):
        run()
    return {site for site, values, version in found if values._version != version}


def _leave(site: Site, see: See, _module: nn.Module, _args: Any, output: Tensor) -> Tensor:
    return see(Sight(site=site, values=output, dim=site.dim))


class _Watch(TorchFunctionMode):
    """Sees functions of torch above autograd; what they call themselves is not seen."""

    def __init__(self, graph: Graph, see: See) -> None:
        super().__init__()
        self._graph, self._see = graph, see
        self._registered = {tensor.untyped_storage()._cdata for tensor in tensors_of(graph.model).values()}
        self._weights: dict[int, dict[str, Tensor]] = {}
        self._sites: dict[tuple[str, int, str], Site] = {}
        self.running: list[str] = []

    def follow(self, stack: ExitStack) -> None:
        """Keep account of which of the modules with weights is running."""
        owners = {path.rpartition(".")[0].partition(".parametrizations.")[0] for path, _, _ in self._sites}
        for path in owners - {""}:
            module = module_at(self._graph.model, path)
            stack.callback(module.register_forward_pre_hook(partial(self._enter, path)).remove)
            stack.callback(module.register_forward_hook(self._leave, always_call=True).remove)

    def _enter(self, path: str, _module: nn.Module, _args: Any) -> None:
        self.running.append(path)

    def _leave(self, _module: nn.Module, _args: Any, _output: Any) -> None:
        self.running.pop()

    def add(self, site: Site) -> None:
        """Watch another site."""
        weight = self._graph.tensor(site.path)
        self._weights.setdefault(weight.untyped_storage()._cdata, {})[site.path] = weight
        self._sites[site.path, site.dim, site.kind] = site

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        arguments = given(args, kwargs)
        for use in uses(func, arguments):
            operand = arguments.get(use.weight)
            parts = self._parts(operand, use) if isinstance(operand, Tensor) else []
            if parts:
                return self._run(func, use, parts, arguments, others(kwargs))
        return func(*args, **kwargs)

    def _run(
        self, func: Any, use: Use, parts: "Sequence[_Part]", arguments: dict[int, Any], named: dict[str, Any]
    ) -> Any:
        for path, dims, firsts in parts:
            site = self._sites.get((path, dims[use.reads], "read"))
            if site is not None:
                inputs = arguments[use.inputs]
                sight = Sight(site=site, values=inputs, dim=use.source, first=firsts[use.reads])
                arguments[use.inputs] = self._see(sight)
        output = func(*[arguments[place] for place in range(max(arguments) + 1)], **named)
        for path, dims, firsts in parts:
            site = self._sites.get((path, dims[use.makes], "made"))
            if site is not None:
                output = self._see(Sight(site=site, values=output, dim=use.result, first=firsts[use.makes]))
        return output

    def _parts(self, operand: Tensor, use: Use) -> "list[_Part]":
        """The weights that this is, or is a slice or transpose of, or was made of."""
        known = self._weights.get(operand.untyped_storage()._cdata)
        if known is None:
            plain = operand.untyped_storage()._cdata in self._registered
            return self._derived(operand) if use.layer and not plain else []
        # A product with more dims than two is a batch of products, each with rows and columns of its own.
        return _slices(operand, known) if use.layer or operand.dim() == 2 else []

    def _derived(self, operand: Tensor) -> "list[_Part]":
        """The one weight of this shape that the running module has (standardised, or normed, on each call)."""
        prefix = f"{self.running[-1]}." if self.running else ""
        weights = {path: weight for known in self._weights.values() for path, weight in known.items()}
        own = [path for path, weight in weights.items() if path.startswith(prefix) and weight.shape == operand.shape]
        return [(own[0], (0, 1), (0, 0))] if len(own) == 1 else []


_Part = tuple[str, tuple[int, int], tuple[int, int]]
"""Path of a weight, its dims in the order of the operand's, and the first positions on the operand's dims."""


def _slices(operand: Tensor, weights: Mapping[str, Tensor]) -> list[_Part]:
    """The weights, of those that share the operand's memory, which it is a slice or transpose of."""
    found = []
    for path, weight in weights.items():
        offset = int(operand.storage_offset()) - int(weight.storage_offset())
        if operand.dim() != weight.dim() or operand.dim() < 2 or offset < 0:
            continue
        row, column = divmod(offset, weight.stride(0))
        if weight.dim() == 2 and operand.stride() == weight.stride():
            found.append((path, (0, 1), (row, column // weight.stride(1))))
        elif weight.dim() == 2 and operand.stride() == weight.stride()[::-1]:
            found.append((path, (1, 0), (column // weight.stride(1), row)))
        elif operand.stride() == weight.stride() and operand.shape[1:] == weight.shape[1:]:
            found.append((path, (0, 1), (row, 0)))
    return found
