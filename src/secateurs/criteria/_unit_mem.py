"""How much each unit has memorised a single image."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final, get_args

import torch
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs._sharding import counted, part
from secateurs.criteria._criterion import Criterion, Loss, check_graph
from secateurs.criteria._data import read_batches
from secateurs.criteria._registry import register
from secateurs.criteria._unit_mem_look import Look
from secateurs.criteria._unit_mem_places import At, columns_of, places_of
from secateurs.criteria._unit_mem_tally import Rest, Tally
from secateurs.graph import Graph, free_attention, tensors_of, untouched

__all__ = ["Memorisation", "UnitMem"]

_WHO = "criterion 'unitmem'"


@dataclass(frozen=True, kw_only=True, eq=False)
class Memorisation:
    """What was found on one axis, on the CPU.

    Attributes:
        values: float64 [units], UnitMem: 0 where all images activate a unit alike, 1 where a single one does.
        images: int64 [units], the image that activates a unit most, by its index in the data set (where the batches
            know it, else its place among all images of the batches); of several the lowest; -1 for dead units.
        activations: float32 [images, units], mean over augmentations and places, in the order of the batches; None
            unless asked for.
    """

    values: Tensor
    images: Tensor
    activations: Tensor | None = None


@final
@register("unitmem")
@dataclass(frozen=True, kw_only=True)
class UnitMem(Criterion):
    """Rank units by how much more a single image activates them than the others do.

    With mu(x) the activation of a unit for image x, its mean over augmented versions of x and over the feature map
    (or tokens),

        UnitMem = (max mu - rest) / (max mu + rest),    0 where all mu are 0,

    in which rest is the mean of mu over all images but that of the maximum. A unit that has memorised one image has 1.

    Activations are those after the nonlinearity, module or function, through a ReLU; of a unit in several places (a
    channel of a residual stream) the mean over these. Units of a branch share those of the sum that they feed, after
    its nonlinearity. Units that no nonlinearity follows have their own values, through a ReLU.

    The batches run through the model once, in evaluation mode, with all layers watched at once; what is kept is some
    numbers per unit, or one [images, units] matrix per axis for the median and for `activations`.

    `batches` may be plain batches, whose images are taken as they are: one version each. An `AugmentedView` of
    `secateurs.data` has several versions of each image, and knows the data set's indices. Any other source may do the
    same with two attributes: `augmentations`, how many rows of a batch in succession belong to one image, and
    `indices` [images]. Images lie along the first dim of the arguments.

    Source: Wang et al., Localizing Memorization in SSL Vision Encoders, 2024.

    Args:
        rest: "mean" of the other images; their "median", as in the authors' code; or the "second" highest.
        at: "read" as above; "norm" where a batch norm, layer norm or group norm makes the units, through a ReLU: of
            branches before their sum.
        augment: makes the view of the batches that is looked at in their place, as `secateurs.data.ViewOptions` does
            of batches of that package; None for the batches as they are.

    Raises:
        ConfigError: an option that there is not.
        PlanError: when called, no batches, or a model whose operators do not follow the trace.
    """

    reduces: ClassVar[bool] = True
    rest: Rest = "mean"
    at: At = "read"
    augment: Callable[[Iterable[Any]], Iterable[Any]] | None = None

    def __post_init__(self) -> None:
        for name, known in (("rest", get_args(Rest)), ("at", get_args(At))):
            if getattr(self, name) not in known:
                wanted, got = "one of " + ", ".join(known), repr(getattr(self, name))
                raise ConfigError(f"{_WHO} {name}", wanted=wanted, got=got, cure=f"Correct {name}.")

    def score(
        self,
        graph: Graph,
        batches: Iterable[Any] | None,
        loss: Loss | None,  # noqa: ARG002 - of the interface
    ) -> Mapping[str, Tensor]:
        """See the class."""
        return {name: found.values for name, found in self.observe(graph, batches).items()}

    def observe(
        self, graph: Graph, batches: Iterable[Any] | None, *, activations: bool = False
    ) -> Mapping[str, Memorisation]:
        """UnitMem of all units by axis, the images behind it, and the activations if asked.

        Args:
            graph: of the model, which is not changed.
            batches: plain, or a view; see the class.
            activations: keep the [images, units] matrices.
        """
        check_graph(graph)
        source = batches if self.augment is None or batches is None else self.augment(batches)
        columns, device = columns_of(graph), _device(graph)
        units = sum(axis.size for axis in graph.axes)
        tally = Tally(units, device, keep=activations or self.rest == "median")
        versions, indices = getattr(source, "augmentations", 1), getattr(source, "indices", None)
        with untouched(graph.model):
            free_attention(graph.model)
            look, places = Look(graph, places_of(graph, self.at), units, device), _Rows(source)
            for batch in read_batches(source, _WHO, device):
                found = look.activations(batch, versions)
                rows = places.next(len(found))
                tally.add(found, (rows if indices is None else indices[rows]).to(device), rows)
        tally.reduce()
        values, images = tally.values(self.rest).cpu(), tally.images.cpu()
        kept = tally.activations().cpu() if activations else None
        return {
            name: Memorisation(
                values=values[own], images=images[own], activations=None if kept is None else kept[:, own].clone()
            )
            for name, own in columns.items()
        }


class _Rows:
    """Places of the images of each batch among all images, also where other ranks have parts of the batches."""

    def __init__(self, source: Any) -> None:
        self._done, shard = 0, getattr(source, "shard", (0, 1))
        self._starts: Iterator[int] | None = None
        if shard[1] > 1:
            sizes = [source.global_size(step) for step in range(len(source))]
            starts = [sum(sizes[:step]) + part(size, shard).start for step, size in enumerate(sizes)]
            self._starts = iter([start for start, size in zip(starts, sizes, strict=True) if counted(size, shard)])

    def next(self, count: int) -> Tensor:
        """int64 [count]."""
        start = self._done if self._starts is None else next(self._starts)
        self._done = start + count
        return torch.arange(start, self._done)


def _device(graph: Graph) -> torch.device:
    return next((tensor.device for tensor in tensors_of(graph.model).values()), torch.device("cpu"))
