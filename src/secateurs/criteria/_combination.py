"""Criteria made of criteria, and several criteria at once."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, final

from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.criteria._criterion import Criterion, Loss, check_graph
from secateurs.criteria._pass import Streamed, listen
from secateurs.criteria._registry import build
from secateurs.criteria._scores import Scores
from secateurs.graph import Graph

__all__ = ["Combination", "made", "score_together", "several"]


class Combination(Criterion):
    """A criterion whose scores are made of those of others, which share a pass over the batches where they can."""

    @property
    def reduces(self) -> bool:  # type: ignore[override]
        """Whether all parts do."""
        return all(part.reduces for part in self.parts)

    @property
    @abstractmethod
    def parts(self) -> Sequence[Criterion]:
        """What it is made of."""

    @abstractmethod
    def combined(self, graph: Graph, scores: Sequence[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        """The scores from those of the parts."""

    @final
    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        """See the class."""
        return _scored(graph, [self], batches, loss)[0]


def score_together(
    graph: Graph, criteria: Sequence[Criterion], batches: Iterable[Any] | None = None, loss: Loss | None = None
) -> list[Scores]:
    """The scores of several criteria, each as `criterion(graph, batches, loss)` gives them.

    All that stream (activations, `Taylor`, `Fisher`, `SNIP`), also as parts of others, share one pass: forward once,
    and backward once if any needs gradients. A backward pass is as long as the hungriest asks. `Fisher(at="weights")`
    goes image by image, in a pass of its own; other criteria run one after the other.

    Raises:
        PlanError: as any of them.
    """
    check_graph(graph)
    return [Scores(found, graph.axes) for found in _scored(graph, criteria, batches, loss)]


def _scored(
    graph: Graph, criteria: Sequence[Criterion], batches: Iterable[Any] | None, loss: Loss | None
) -> list[Mapping[str, Tensor]]:
    leaves = list({id(leaf): leaf for criterion in criteria for leaf in _leaves(criterion)}.values())
    streamed = [leaf for leaf in leaves if isinstance(leaf, Streamed)]
    found = {id(leaf): scores for leaf, scores in zip(streamed, listen(graph, streamed, batches, loss), strict=True)}
    found |= {id(leaf): leaf.score(graph, batches, loss) for leaf in leaves if not isinstance(leaf, Streamed)}
    return [_of(graph, criterion, found) for criterion in criteria]


def _leaves(criterion: Criterion) -> Iterator[Criterion]:
    if isinstance(criterion, Combination):
        for part in criterion.parts:
            yield from _leaves(part)
    else:
        yield criterion


def _of(graph: Graph, criterion: Criterion, found: Mapping[int, Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    if isinstance(criterion, Combination):
        parts = [_of(graph, part, found) for part in criterion.parts]
        double = [{name: values.double().cpu() for name, values in part.items()} for part in parts]
        return criterion.combined(graph, double)
    return found[id(criterion)]


def made(spec: Any, where: str) -> Criterion:
    """The criterion that an option gives: itself, its name, or `{name: ..., options: {...}}` as recipes have it.

    Raises:
        ConfigError: it gives none.
    """
    if isinstance(spec, Criterion):
        return spec
    if isinstance(spec, str):
        return build(spec)
    options = spec.get("options", {}) if isinstance(spec, Mapping) else None
    known = isinstance(spec, Mapping) and set(spec) <= {"name", "options"} and isinstance(spec.get("name"), str)
    if not known or not isinstance(options, Mapping):
        wanted, cure = "a criterion, its name, or {name: ..., options: {...}}", "Give one of these."
        raise ConfigError(where, wanted=wanted, got=repr(spec), cure=cure)
    return build(spec["name"], **options)


def several(specs: object, where: str) -> tuple[Criterion, ...]:
    """The criteria that an option lists.

    Raises:
        ConfigError: none, or something else.
    """
    if not isinstance(specs, tuple | list) or not specs:
        wanted, cure = "a list of criteria", "Give at least one."
        raise ConfigError(f"{where} criteria", wanted=wanted, got=repr(specs), cure=cure)
    return tuple(made(spec, f"{where} criteria[{number}]") for number, spec in enumerate(specs))
