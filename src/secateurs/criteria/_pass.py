"""One pass over the batches, for as many criteria as listen."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from secateurs import _distributed
from secateurs._errors import PlanError
from secateurs.criteria._criterion import Criterion, Loss
from secateurs.criteria._data import Batch, read_batches, required_loss
from secateurs.criteria._gates import Gates, Layouts, Products
from secateurs.criteria._sites import Columns, Site, sites_of
from secateurs.criteria._watching import Sight, watched, written_to
from secateurs.graph import Graph, free_attention, map_tensors, tensors_in, tensors_of, untouched

__all__ = ["Listener", "Streamed", "device_of", "images_of", "listen", "requiring_grad", "singles"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Listener:
    """What one criterion takes from a pass, and what it makes of it.

    Attributes:
        sums: what is added up; over ranks too, before `finish`.
        finish: scores by axis, from the number of images and the axes' sites that were seen.
        see: told of every sight of a unit, its values detached.
        gates: told of activation times gradient [images, units] of every axis, batch by batch: of the loss of each
            image by itself, summed over places and sites.
        weights: told of the gradients of the members that are parameters, by path, and of the number of images: of
            the mean loss over these images.
        single: whether `weights` must be told of each image by itself.
    """

    sums: Sequence[Tensor]
    finish: Callable[["Seen"], Mapping[str, Tensor]]
    see: Callable[[Sight], None] | None = None
    gates: Callable[[Products], None] | None = None
    weights: Callable[[Mapping[str, Tensor], int], None] | None = None
    single: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What a pass went over: how many images, and by axis the sites where something passed by."""

    images: int
    sites: Mapping[str, Mapping[Site, Columns]]


class Streamed(Criterion):
    """A criterion whose scores come from sums over one pass, which others may share.

    A loss is taken to be the mean over the images of a batch, as torch's are.
    """

    reduces: ClassVar[bool] = True

    @abstractmethod
    def listen(self, graph: Graph) -> Listener:
        """What to take from a pass."""

    @final
    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        return listen(graph, [self], batches, loss)[0]


def listen(
    graph: Graph, criteria: Sequence[Streamed], batches: Iterable[Any] | None, loss: Loss | None
) -> list[Mapping[str, Tensor]]:
    """The scores of several criteria: one pass forward, and one backward where any asks for gradients.

    Those that want the gradient of every image by itself share a pass of their own, image by image.

    Raises:
        PlanError: no batches, no loss where one is needed, or an axis with units that never passed by.
    """
    found: dict[int, Mapping[str, Tensor]] = {}
    listeners = [criterion.listen(graph) for criterion in criteria]
    for single in (False, True):
        numbers = [number for number, listener in enumerate(listeners) if listener.single is single]
        if numbers:
            who = " and ".join(dict.fromkeys(f"criterion {type(criteria[number]).__name__}" for number in numbers))
            run = _Run(graph, [listeners[number] for number in numbers], who)
            seen = run(batches, loss)
            found |= {number: listeners[number].finish(seen) for number in numbers}
    return [found[number] for number in range(len(criteria))]


class _Run:
    """A pass of some listeners."""

    def __init__(self, graph: Graph, listeners: Sequence[Listener], who: str) -> None:
        self._graph, self._listeners, self._who = graph, listeners, who
        self._see = [listener.see for listener in listeners if listener.see]
        self._gated = [listener.gates for listener in listeners if listener.gates]
        self._weights = [listener.weights for listener in listeners if listener.weights]
        looks = bool(self._see or self._gated)
        self._sites: Mapping[str, Mapping[Site, Columns]] = sites_of(graph) if looks else {}
        self._distinct = list(dict.fromkeys(site for own in self._sites.values() for site in own))
        device = device_of(graph)
        self._placed = {
            name: {site: columns.on(device) for site, columns in own.items()} for name, own in self._sites.items()
        }
        self._passed: set[Site] = set()
        self._layouts = Layouts(graph)
        self._written: set[Site] | None = None
        self._copies = False

    def __call__(self, batches: Iterable[Any] | None, loss: Loss | None) -> Seen:
        if self._gated or self._weights:
            loss = required_loss(loss, self._who)
        images = torch.zeros((), dtype=torch.float64)
        single = self._listeners[0].single
        learned = _members(self._graph) if self._weights else {}
        with untouched(self._graph.model), requiring_grad(self._graph.model, learned.values()):
            if self._sites:
                free_attention(self._graph.model)  # torch's own hides what it does inside
            for batch in read_batches(batches, self._who, device_of(self._graph)):
                for part in singles(batch) if single else [batch]:
                    self._look(part, loss, learned)
                images += images_of(batch)
        return self._reduced(images)

    def _look(self, batch: Batch, loss: Loss | None, learned: Mapping[str, Tensor]) -> None:
        count = images_of(batch)
        if not self._gated and not self._weights:
            self._forward(batch, None)
            return
        assert loss is not None
        with torch.enable_grad():
            gates = self._gates(batch, count) if self._gated else None
            outputs = self._forward(batch, gates)
            if gates is not None:
                self._layouts.learn(gates.unclear, batch, count)
            leaves = [*learned.values(), *([] if gates is None else gates.leaves)]
            found = _gradients(loss(outputs, batch.targets), leaves)
        if gates is not None:
            sizes = {axis.name: axis.size for axis in self._graph.axes}
            products = gates.products(self._placed, sizes, found[len(learned) :])
            for gated in self._gated:
                gated(products)
        by_path = dict(zip(learned, found, strict=False))
        for weigh in self._weights:
            weigh(by_path, count)

    def _forward(self, batch: Batch, gates: Gates | None) -> Any:
        def see(sight: Sight) -> Tensor:
            self._passed.add(sight.site)
            if self._see:
                plain = sight if gates is None else replace(sight, values=sight.values.detach())
                with torch.no_grad():
                    for take in self._see:
                        take(plain)
            return sight.values if gates is None else gates.put(sight)

        if not self._distinct:
            return batch.outputs(self._graph.model)
        with watched(self._graph, self._distinct, see):
            return batch.outputs(self._graph.model)

    def _gates(self, batch: Batch, count: int) -> Gates:
        if self._written is None:
            one = next(singles(batch))
            self._written = written_to(self._graph, self._distinct, lambda: one.outputs(self._graph.model))
        return Gates(count, self._layouts, self._written)

    def _reduced(self, images: Tensor) -> Seen:
        passed = torch.tensor([float(site in self._passed) for site in self._distinct], dtype=torch.float64)
        _distributed.all_reduce([images, passed, *(part for own in self._listeners for part in own.sums)])
        there = {site for site, times in zip(self._distinct, passed.tolist(), strict=True) if times}
        sites = {
            name: {site: columns for site, columns in own.items() if site in there} for name, own in self._sites.items()
        }
        for name, own in sites.items():
            if not own:
                raise self._unseen(name)
        return Seen(images=int(images), sites=sites)

    def _unseen(self, name: str) -> PlanError:
        names = ", ".join(site.path for site in self._sites[name])
        cure = "It may be of a kind that this criterion cannot look into; take another one for this model."
        wanted = f"to see {names} in a convolution or matrix product"
        return PlanError(f"{self._who}, axis {name!r}", wanted=wanted, got="no such operator", cure=cure)


def _gradients(loss: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    """Zeros for what the loss does not depend on."""
    if not leaves or not loss.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    return list(torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True))


def _members(graph: Graph) -> dict[str, Tensor]:
    """The parameters that axes show up in, each once."""
    paths = sorted({member.path for axis in graph.axes for member in axis.members})
    tensors = {path: graph.tensor(path) for path in paths}
    return {path: tensor for path, tensor in tensors.items() if isinstance(tensor, nn.Parameter)}


@contextmanager
def requiring_grad(model: nn.Module, leaves: Iterable[Tensor]) -> Iterator[None]:
    """Inside, these are the only parameters that autograd looks at; afterwards flags are as before."""
    before = {parameter: parameter.requires_grad for parameter in model.parameters()}
    wanted = {id(leaf) for leaf in leaves}
    try:
        for parameter in before:
            parameter.requires_grad_(id(parameter) in wanted)
        yield
    finally:
        for parameter, required in before.items():
            parameter.requires_grad_(required)


def device_of(graph: Graph) -> torch.device:
    """Where the model is."""
    return next((tensor.device for tensor in tensors_of(graph.model).values()), torch.device("cpu"))


def images_of(batch: Batch) -> int:
    """How many images a batch has: the first dim of its first tensor."""
    first = next((tensor for tensor in tensors_in((batch.args, batch.kwargs)) if tensor.dim()), None)
    return 1 if first is None else len(first)


def singles(batch: Batch) -> Iterator[Batch]:
    """A batch for each image."""
    count = images_of(batch)
    for number in range(count):

        def pick(tensor: Tensor, number: int = number) -> Tensor:
            return tensor[number : number + 1] if tensor.dim() and len(tensor) == count else tensor

        args, kwargs, targets = map_tensors(pick, (batch.args, dict(batch.kwargs), batch.targets))
        yield Batch(args=args, kwargs=kwargs, targets=targets)
