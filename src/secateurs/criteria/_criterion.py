"""What every criterion is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, final

from torch import Tensor

from secateurs._errors import PlanError
from secateurs.criteria._scores import Scores
from secateurs.graph import Graph, tensors_of

__all__ = ["Criterion", "Loss", "check_graph"]

Loss = Callable[[Any, Any], Tensor]
"""From outputs and targets to a scalar."""


class Criterion(ABC):
    """A way to say which units matter.

    A criterion is a final frozen dataclass of its options that says `score` and nothing else: graph and result are
    checked here, once for all.

    Attributes:
        reduces: under several ranks, whether `score` looks at this rank's part of the images only and adds its sums
            over images up with `secateurs._distributed.all_reduce`, before anything is made of them that is not a
            sum. Without it every rank is given all images: as right, and no faster than one.
        harm: whether scores say how much harm it does that a unit goes, in one measure for all axes: then the least
            harm for what is saved is a better choice than the least harm.
    """

    reduces: ClassVar[bool] = False
    harm: ClassVar[bool] = False

    @final
    def __call__(self, graph: Graph, batches: Iterable[Any] | None = None, loss: Loss | None = None) -> Scores:
        """Score all units of all axes, with the model's weights as they are now; the model is not changed.

        Args:
            graph: of the model to score.
            batches: what a loader gives, for criteria that look at data.
            loss: from outputs and targets to a scalar, for criteria that need one.

        Raises:
            PlanError: not a graph, a model that was changed since it was traced, or scores that are not finite.
        """
        check_graph(graph)
        return Scores(self.score(graph, batches, loss), graph.axes)

    @abstractmethod
    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """One floating tensor [axis.size] per axis of the graph; higher = keep."""


def check_graph(graph: Graph) -> None:
    """Refuse what is not a graph, and one whose model has other shapes than it had when it was traced."""
    if not isinstance(graph, Graph):
        cure = "Trace the model first: graph = trace(model, args=(x,))."
        raise PlanError("graph", wanted="a Graph", got=type(graph).__name__, cure=cure)
    now = tensors_of(graph.model)
    paths = {member.path for axis in graph.axes for member in axis.members}
    changed = [path for path in paths if path not in now or now[path].shape != graph.shapes[path]]
    for path in sorted(changed):
        shape = tuple(now[path].shape) if path in now else None
        if shape != graph.shapes[path]:
            got = "no such tensor" if shape is None else f"shape {shape}"
            cure = "The model was changed after it was traced: trace it again."
            raise PlanError(path, wanted=f"shape {graph.shapes[path]} as traced", got=got, cure=cure)
