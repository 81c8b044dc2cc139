"""Pruning until a model is fast enough, with a clock that repeats."""

from typing import Any

import pytest
import torch

import secateurs as sec
from secateurs.surgery import LatencyOptions, latency_removed
from tests.selection._toys import graph_of


def test_a_plan_is_timed_on_a_cut_copy() -> None:
    model, x = sec.models.build("resnet8", width=0.25), torch.zeros(2, 3, 32, 32)
    before = {path: tensor.clone() for path, tensor in model.state_dict().items()}
    measure = latency_removed(model, (x,), options=LatencyOptions(batch_size=2, runs=2, warmup=0))
    assert measure(sec.trace(model, (x,)).plan({"conv1": [0]})) < 1
    assert all(torch.equal(tensor, before[path]) for path, tensor in model.state_dict().items())


def test_prune_goes_on_until_it_is_fast_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def clock(*args: Any) -> Any:
        return lambda plan: 0.8 * (1 - plan.cost.macs / plan.before.macs)

    monkeypatch.setattr("secateurs.surgery._prune.latency_removed", clock)
    model, x = sec.models.build("resnet20"), torch.randn(1, 3, 32, 32)
    result = sec.prune(model, (x,), remove={"latency": 0.4, "params": 0.1}, per="macs", cap=0.9)
    assert result.report.verified
    assert 0.5 <= 1 - result.plan.cost.macs / result.plan.before.macs <= 0.525
    assert result.plan.cost.params <= 0.9 * result.plan.before.params


def test_select_says_who_measures() -> None:
    graph = graph_of("2-3-2")
    with pytest.raises(sec.PlanError, match=r"got 'latency'\. Measured figures: secateurs\.prune"):
        sec.select(graph, {"0": torch.ones(3)}, {"latency": 0.3})
