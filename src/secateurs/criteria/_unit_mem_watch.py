"""Watching activations while a model runs: all places at once, and no feature map is kept."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from secateurs._errors import PlanError
from secateurs.criteria._unit_mem_places import Place, Source, source_of
from secateurs.graph import WHOLES, Graph, family_in, is_positive, weight_and_data

__all__ = ["Take", "check_followed", "watched"]

Take = Callable[[Place, Tensor, bool], None]
"""Told of a place, the tensor there, and whether that has nothing below 0 already."""
Tell = Callable[[Source, Tensor, bool], None]
"""Told of a call: its source, its tensor, and whether that has nothing below 0 already."""


@contextmanager
def watched(graph: Graph, places: Sequence[Place], take: Take) -> Iterator[Counter[Source]]:
    """Inside, `take` is told of every place that the model comes to; yields how often each source was called."""
    by_call: dict[tuple[Source, int], list[Place]] = defaultdict(list)
    for place in places:
        by_call[place.source, place.number].append(place)
    calls: Counter[Source] = Counter()

    def tell(source: Source, result: Tensor, positive: bool) -> None:
        here = by_call.get((source, calls[source]), ())
        calls[source] += 1
        for place in here:
            take(place, result, positive)

    with ExitStack() as stack:
        for path in sorted({place.source[1] for place in places if place.source[0] == "module"}):
            hook = partial(_hook, partial(tell, ("module", path)))
            stack.callback(graph.model.get_submodule(path).register_forward_hook(hook).remove)
        operators = stack.enter_context(_Operators(graph, tell))
        stack.enter_context(_Functions(operators, tell))
        yield calls


def check_followed(graph: Graph, places: Sequence[Place], calls: Mapping[Source, int]) -> None:
    """Refuse a run that took another way than the trace: which call is which could not be told.

    Raises:
        PlanError: another number of calls of a source that places belong to.
    """
    traced = Counter(source_of(activation.family, activation.weight) for activation in graph.activations)
    for source in dict.fromkeys(place.source for place in places):
        wanted = 1 if source[0] == "module" else traced[source]
        if calls[source] != wanted:
            raise PlanError(
                f"criterion 'unitmem', {type(graph.model).__name__}",
                wanted=f"{wanted} calls of {' '.join(part for part in source if part)}, as in the trace",
                got=str(calls[source]),
                cure="Its code may depend on the input: trace it on an example like the batches.",
            )


def _hook(tell: Callable[[Tensor, bool], None], _module: nn.Module, _args: Any, output: Tensor) -> None:
    tell(output, False)


class _Operators(TorchDispatchMode):
    """Sees operators whatever code they come from; weights are told by the memory that they are views of."""

    def __init__(self, graph: Graph, tell: Tell) -> None:
        super().__init__()
        self._tell = tell
        paths = {activation.weight for activation in graph.activations if activation.weight}
        self._paths = {graph.tensor(path).untyped_storage()._cdata: path for path in paths}
        self.inside = False
        """Whether a linear map is running, which is told of as a whole."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        family = family_in(func, args)
        if family == "product":
            if not self.inside:
                self.product(args, result)
        elif family is not None:
            self._tell((family, ""), result[0] if isinstance(result, tuple | list) else result, is_positive(func))
        return result

    def product(self, args: Iterable[Any], result: Tensor) -> None:
        """Tell of a product, if it has a weight."""
        tensors = [argument for argument in args if isinstance(argument, Tensor)]
        paths = [self._paths.get(tensor.untyped_storage()._cdata) for tensor in tensors]
        path, data = weight_and_data(tensors, paths)
        if path is not None and data is not None:
            self._tell(("input", path), data, False)
            self._tell(("product", path), result, False)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """torch would import its compiler and enter it at every call."""
        return False


class _Functions(TorchFunctionMode):
    """Sees functions that are one operator in a trace, but several in a real run, or now one and now another.

    Of the linear map torch adds the bias within the product or after it, as the memory of its input lies.
    """

    def __init__(self, operators: _Operators, tell: Tell) -> None:
        super().__init__()
        self._operators, self._tell = operators, tell

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.linear:
            return self._linear(args, kwargs)
        if func not in WHOLES:
            return func(*args, **kwargs)
        with _disable_current_modes():
            result = func(*args, **kwargs)
            family = family_in(WHOLES[func], args)
            if family is not None:
                self._tell((family, ""), result if isinstance(result, Tensor) else result[0], False)
        return result

    def _linear(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        before, self._operators.inside = self._operators.inside, True
        try:
            result: Tensor = F.linear(*args, **kwargs)
        finally:
            self._operators.inside = before
        with _disable_current_modes():
            self._operators.product((*args, *kwargs.values()), result)
        return result
