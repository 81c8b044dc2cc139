"""What passes by at sites while a model runs, as tensors that autograd knows."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from secateurs.criteria._sites import Site
from secateurs.graph import Graph, module_at

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

    Weights are known by their memory, in convolutions and matrix products, whatever module or function calls them.
    """
    mode = _Watch(graph, see)
    with ExitStack() as stack:
        for site in sites:
            if site.kind == "left":
                hook = partial(_leave, site, see)
                stack.callback(module_at(graph.model, site.path).register_forward_hook(hook).remove)
            else:
                mode.add(site)
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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Use:
    """One operator with a weight: which dims meet.

    Attributes:
        inputs: position of the other operand among the arguments.
        weight: position of the weight.
        reads, makes: dims of the weight that meet the inputs and the outputs.
        source, result: these dims in the inputs and the outputs, negative.
    """

    inputs: int
    weight: int
    reads: int
    makes: int
    source: int
    result: int


def _convolution(dims: int, *, transposed: bool = False) -> tuple[_Use, ...]:
    reads, makes = (0, 1) if transposed else (1, 0)
    return (_Use(inputs=0, weight=1, reads=reads, makes=makes, source=-1 - dims, result=-1 - dims),)


_RIGHT = _Use(inputs=0, weight=1, reads=0, makes=1, source=-1, result=-1)
_LEFT = _Use(inputs=1, weight=0, reads=1, makes=0, source=-2, result=-2)
_ADDED = (_Use(inputs=1, weight=2, reads=0, makes=1, source=-1, result=-1),)
_USES: Mapping[Any, tuple[_Use, ...]] = {
    F.linear: (_Use(inputs=0, weight=1, reads=1, makes=0, source=-1, result=-1),),
    torch.conv1d: _convolution(1),
    torch.conv2d: _convolution(2),
    torch.conv3d: _convolution(3),
    torch.conv_transpose1d: _convolution(1, transposed=True),
    torch.conv_transpose2d: _convolution(2, transposed=True),
    torch.conv_transpose3d: _convolution(3, transposed=True),
    torch.addmm: _ADDED,
    Tensor.addmm: _ADDED,
    **dict.fromkeys((torch.matmul, torch.mm, Tensor.matmul, Tensor.mm, Tensor.__matmul__), (_RIGHT, _LEFT)),
}
_NAMES: Mapping[str, int] = {"input": 0, "weight": 1, "mat1": 1, "mat2": 2, "other": 1, "tensor2": 1}
"""Places of arguments that may be given by name; `mat2` of mm, which takes two, is left unseen."""


class _Watch(TorchFunctionMode):
    """Sees functions of torch above autograd; what they call themselves is not seen."""

    def __init__(self, graph: Graph, see: See) -> None:
        super().__init__()
        self._graph, self._see = graph, see
        self._weights: dict[int, dict[str, Tensor]] = {}
        self._sites: dict[tuple[str, int, str], Site] = {}

    def add(self, site: Site) -> None:
        """Watch another site."""
        weight = self._graph.tensor(site.path)
        self._weights.setdefault(weight.untyped_storage()._cdata, {})[site.path] = weight
        self._sites[site.path, site.dim, site.kind] = site

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        for use in _USES.get(func, ()):
            given = dict(enumerate(args)) | {_NAMES[name]: value for name, value in kwargs.items() if name in _NAMES}
            operand = given.get(use.weight)
            if isinstance(operand, Tensor) and operand.untyped_storage()._cdata in self._weights:
                return self._run(func, use, given, kwargs)
        return func(*args, **kwargs)

    def _run(self, func: Any, use: _Use, given: dict[int, Any], kwargs: dict[str, Any]) -> Any:
        parts = self._parts(given[use.weight])
        for path, dims, firsts in parts:
            site = self._sites.get((path, dims[use.reads], "read"))
            if site is not None:
                inputs = given[use.inputs]
                sight = Sight(site=site, values=inputs, dim=use.source, first=firsts[use.reads])
                given[use.inputs] = self._see(sight)
        count = max(given) + 1
        named = {name: value for name, value in kwargs.items() if name not in _NAMES}
        output = func(*[given[place] for place in range(count)], **named)
        for path, dims, firsts in parts:
            site = self._sites.get((path, dims[use.makes], "made"))
            if site is not None:
                output = self._see(Sight(site=site, values=output, dim=use.result, first=firsts[use.makes]))
        return output

    def _parts(self, operand: Tensor) -> list[tuple[str, tuple[int, int], tuple[int, int]]]:
        """Of each weight that this is, or is a slice or transpose of: path, dims of the weight, and first positions."""
        found = []
        for path, weight in self._weights[operand.untyped_storage()._cdata].items():
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
