from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs.criteria import Criterion, Loss, Random, Scores
from secateurs.graph import Graph
from tests.criteria._toys import toy


class Given(Criterion):
    """Gives what it is told to, and notes what it is told."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        self.values = values
        self.told: tuple[Any, ...] = ()

    def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
        self.told = (graph, batches, loss)
        return self.values


def test_a_criterion_is_told_everything_and_its_result_is_checked() -> None:
    graph, x = toy("chain")
    criterion = Given({axis.name: torch.ones(axis.size) for axis in graph.axes})
    batches, loss = [x], nn.MSELoss()
    scores = criterion(graph, batches, loss)
    assert isinstance(scores, Scores)
    assert criterion.told == (graph, batches, loss)


def test_a_wrong_result_is_refused_whatever_the_criterion() -> None:
    graph, _ = toy("chain")
    with pytest.raises(PlanError, match=r"scores\['2'\]: .* got no scores"):
        Given({"0": torch.ones(7)})(graph)


def test_a_model_is_not_a_graph() -> None:
    with pytest.raises(PlanError, match=r"wanted a Graph, got Linear\. Trace the model first"):
        Random()(nn.Linear(2, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Linear(4, 6), r"0\.(bias|weight): wanted shape \(7(, 4)?,?\) as traced, got shape \(6(, 4)?,?\)"),
        (nn.Identity(), r"0\.bias: wanted shape \(7,\) as traced, got no such tensor"),
    ],
)
def test_a_model_cut_since_it_was_traced_is_refused(layer: nn.Module, message: str) -> None:
    graph, _ = toy("chain")
    graph.model._modules["0"] = layer
    with pytest.raises(PlanError, match=message):
        Random()(graph)
