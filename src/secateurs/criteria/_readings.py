"""What weights read while a model runs: the inputs of convolutions and linear maps, wherever they are carried out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from secateurs.graph import Graph

__all__ = ["Place", "Reading", "Sliding", "are_modules", "watched_modules", "watched_operators"]

_PLAIN = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_aten = torch.ops.aten


@dataclass(frozen=True, kw_only=True)
class Place:
    """The dim of a weight that reads."""

    path: str
    dim: int


@dataclass(frozen=True, kw_only=True)
class Sliding:
    """How a convolution slides: its arguments as torch's operator takes them after the bias."""

    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    transposed: bool = False
    output_padding: Sequence[int] = (0,)
    groups: int = 1

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.stride, self.padding, self.dilation, self.transposed, self.output_padding, self.groups


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """A weight that meets its inputs.

    Attributes:
        place: which weight.
        first: the position on the dim that the first input meets, where a slice of the weight reads.
        inputs: [rows, N], or of a convolution [B, C, *positions].
        weight: [M, N], or of a convolution as torch has it.
        sliding: of a convolution.
    """

    place: Place
    first: int = 0
    inputs: Tensor
    weight: Tensor
    sliding: Sliding | None = None


Take = Callable[[Reading], None]


def are_modules(graph: Graph, places: Sequence[Place]) -> bool:
    """Whether each is the weight of a module that is nothing but a convolution or linear map of its input."""
    held = set(_readers(graph.model, graph, places).values())
    return held == set(places)


@contextmanager
def watched_modules(graph: Graph, places: Sequence[Place], take: Take, before: Mapping[Place, str]) -> Iterator[None]:
    """Inside, `take` is told of every call of the modules that have these weights.

    Args:
        before: weights of modules whose outputs are read in the place of the inputs, where they have their shape.
    """
    outputs: dict[str, Tensor] = {}
    makers = {id(graph.tensor(path)): path for path in before.values()}
    with ExitStack() as stack:
        for module in graph.model.modules():
            path = makers.get(id(getattr(module, "weight", None)))
            if path is not None and type(module) in _PLAIN:
                handle = module.register_forward_hook(partial(_keep, outputs, path))
                stack.callback(handle.remove)
        for module, place in _readers(graph.model, graph, places).items():
            hook = partial(_tell, take, place, outputs, before.get(place))
            stack.callback(module.register_forward_pre_hook(hook).remove)
        yield


@contextmanager
def watched_operators(graph: Graph, places: Sequence[Place], take: Take) -> Iterator[None]:
    """Inside, `take` is told of every convolution and matrix product with one of these weights, or a slice of one."""
    with _Watch(graph, places, take):
        yield


def _readers(model: nn.Module, graph: Graph, places: Sequence[Place]) -> dict[nn.Module, Place]:
    by_weight = {id(graph.tensor(place.path)): place for place in places if place.dim == 1}
    modules = [module for module in model.modules() if type(module) in _PLAIN and _slides_plainly(module)]
    return {module: by_weight[id(module.weight)] for module in modules if id(module.weight) in by_weight}


def _slides_plainly(module: nn.Module) -> bool:
    """Other paddings are operators of their own, before the convolution."""
    return isinstance(module, nn.Linear) or (
        module.padding_mode == "zeros" and not isinstance(module.padding, str)  # a layer's own attributes
    )


def _keep(outputs: dict[str, Tensor], path: str, _module: nn.Module, _args: Any, output: Tensor) -> None:
    outputs[path] = output


def _tell(
    take: Take, place: Place, outputs: Mapping[str, Tensor], before: str | None, module: Any, args: tuple[Any, ...]
) -> None:
    inputs, made = args[0], outputs.get(before or "")
    if made is not None and made.shape == inputs.shape:
        inputs = made
    if isinstance(module, nn.Linear):
        take(Reading(place=place, inputs=inputs.reshape(-1, inputs.shape[-1]), weight=module.weight))
        return
    sliding = Sliding(stride=module.stride, padding=module.padding, dilation=module.dilation, groups=module.groups)
    batched = inputs if inputs.dim() == module.weight.dim() else inputs[None]
    take(Reading(place=place, inputs=batched, weight=module.weight, sliding=sliding))


class _Watch(TorchDispatchMode):
    """Sees operators whatever code they come from; weights are told by the memory that they are views of."""

    def __init__(self, graph: Graph, places: Sequence[Place], take: Take) -> None:
        super().__init__()
        self._take = take
        tensors = [(place, graph.tensor(place.path)) for place in places]
        self._places: dict[int, list[tuple[Place, Tensor]]] = {}
        for place, tensor in tensors:
            self._places.setdefault(tensor.untyped_storage()._cdata, []).append((place, tensor))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is _aten.convolution.default:
            self._convolution(*args)
        elif func is _aten.mm.default:
            self._product(*args)
        elif func is _aten.addmm.default:
            self._product(*args[1:3])
        elif func is _aten.bmm.default and len(args[1]) == 1:  # torch.einsum's way to a matrix product
            self._product(args[0][0], args[1][0])
        elif func is _aten.linear.default:
            self._product(args[0].reshape(-1, args[0].shape[-1]), args[1].t())
        return func(*args, **(kwargs or {}))

    def _convolution(self, inputs: Tensor, weight: Tensor, _bias: Any, *arguments: Any) -> None:
        stride, padding, dilation, transposed, output_padding, groups = arguments
        sliding = Sliding(
            stride=stride,
            padding=padding,
            dilation=dilation,
            transposed=transposed,
            output_padding=output_padding,
            groups=groups,
        )
        for place, tensor in self._places.get(weight.untyped_storage()._cdata, ()):
            if weight.shape == tensor.shape and place.dim == (0 if transposed else 1):
                self._take(Reading(place=place, inputs=inputs, weight=weight, sliding=sliding))

    def _product(self, inputs: Tensor, weight: Tensor) -> None:
        """Inputs [rows, N] times a weight [N, M]."""
        for place, tensor in self._places.get(weight.untyped_storage()._cdata, ()):
            if tensor.dim() != 2:
                continue
            # A slice of the weight, or of its transpose, has the weight's own steps through memory.
            steps = tensor.stride() if place.dim == 0 else tensor.stride()[::-1]
            if weight.stride() == steps:
                row, column = divmod(int(weight.storage_offset()) - int(tensor.storage_offset()), tensor.stride(0))
                first = row if place.dim == 0 else column // tensor.stride(1)
                self._take(Reading(place=place, first=first, inputs=inputs, weight=weight.t()))
