from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn

from secateurs._errors import BudgetError, PlanError
from secateurs.criteria import Magnitude, Scores
from secateurs.graph import trace
from secateurs.selection import select
from tests.criteria._toys import toy
from tests.selection._toys import graph_of, mlp, scores_of


def _gone(plan: Any) -> dict[str, tuple[int, ...]]:
    return dict(plan.removed)


def _counts(plan: Any) -> dict[str, int]:
    return {name: len(units) for name, units in plan.removed.items()}


def test_the_lowest_scores_of_all_axes_go() -> None:
    graph = mlp([2, 3, 4, 2])
    scores = {"0": torch.tensor([5.0, 1.0, 6.0]), "1": torch.tensor([2.0, 7.0, 0.0, 3.0])}
    assert _gone(select(graph, scores, {"units": 3 / 7})) == {"0": (1,), "1": (0, 2)}


def test_a_unit_that_the_budget_can_do_without_comes_back() -> None:
    graph = mlp([100, 3, 3, 1])  # 300 + 9 + 3 multiply-adds
    scores = {"0": torch.tensor([3.0, 8.0, 9.0]), "1": torch.tensor([1.0, 2.0, 7.0])}
    # In order: 1[0], 1[1] and 0[0], which alone gives the third asked for.
    assert _gone(select(graph, scores, {"macs": 0.33})) == {"0": (0,)}


def test_equal_scores_go_by_axis_then_by_unit() -> None:
    graph = mlp([2, 3, 4, 2])
    scores = {axis.name: torch.ones(axis.size) for axis in graph.axes}
    assert _gone(select(graph, scores, {"units": 0.5})) == {"0": (0, 1), "1": (0, 1)}
    assert _gone(select(graph, scores, {"units": 0.5}, scope="layerwise")) == {"0": (0, 1), "1": (0, 1)}


@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.3, 0.6, 0.7, 0.8])
def test_a_ratio_means_the_decimal_number_written(ratio: float) -> None:
    graph = mlp([2, 10, 2])
    assert _counts(select(graph, scores_of(graph, 0), {"units": ratio})) == {"0": round(10 * ratio)}


def test_all_budgets_are_met() -> None:
    graph = graph_of("resnet8/0.5")
    remove = {"macs": 0.3, "params": 0.5, "bytes": 0.2, "units": 0.1}
    plan = select(graph, scores_of(graph, 0), remove)
    for key in ("macs", "params", "bytes"):
        assert getattr(plan.cost, key) <= (1 - remove[key]) * getattr(plan.before, key)
    assert plan.cost.params > 0.45 * plan.before.params


def test_scores_of_a_criterion_are_taken_as_they_are() -> None:
    graph, _ = toy("residual")
    scores = Magnitude()(graph)
    assert isinstance(scores, Scores)
    assert select(graph, scores, {"macs": 0.4}) == select(graph, dict(scores), {"macs": 0.4})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_scores_of_any_floating_type_are_taken(dtype: torch.dtype) -> None:
    graph = mlp([2, 6, 2])
    assert _gone(select(graph, {"0": torch.tensor([5, 0, 4, 1, 3, 2], dtype=dtype)}, {"units": 0.5})) == {
        "0": (1, 3, 5)
    }


# ---------------------------------------------------------------------- floor and multiple_of


def test_every_axis_keeps_its_floor() -> None:
    graph = mlp([2, 3, 9, 2])
    scores = {"0": torch.zeros(3), "1": torch.ones(9)}
    assert _counts(select(graph, scores, {"units": 0.5}, floor=2)) == {"0": 1, "1": 5}
    assert _counts(select(graph, scores, {"units": 0.25}, floor=5)) == {"1": 3}
    assert _counts(select(graph, scores, {"units": 0.4}, floor=0.5)) == {"0": 1, "1": 4}


def test_kept_counts_are_rounded_to_the_nearest_multiple() -> None:
    graph = mlp([2, 16, 2])
    scores = {"0": torch.arange(16.0)}
    assert _counts(select(graph, scores, scope={"0": 0.1}, multiple_of=8)) == {}
    assert _counts(select(graph, scores, scope={"0": 0.25}, multiple_of=8)) == {}  # half-way keeps more
    assert _counts(select(graph, scores, scope={"0": 0.26}, multiple_of=8)) == {"0": 8}
    assert _counts(select(graph, scores, scope={"0": 0.99}, multiple_of=8)) == {"0": 8}


def test_an_axis_is_not_halved_for_a_tenth_where_another_can_give_it() -> None:
    graph = mlp([2, 16, 160, 2])
    scores = scores_of(graph, 0)
    assert _counts(select(graph, scores, {"units": 0.1}, scope="layerwise", multiple_of=8)) == {"1": 24}


def test_an_axis_of_another_size_is_left_whole_or_cut_to_a_multiple() -> None:
    graph = mlp([2, 10, 2])
    scores = {"0": torch.arange(10.0)}
    assert _counts(select(graph, scores, {"units": 0.2}, multiple_of=8)) == {"0": 2}
    with pytest.raises(BudgetError, match=r"at most 0\.2000 of units .*multiple_of=8"):
        select(graph, scores, {"units": 0.3}, multiple_of=8)


@pytest.mark.parametrize("floor", [0, -1, True, 0.0, 1.0, 1.5, "1", float("nan")])
def test_a_floor_that_makes_no_sense_is_refused(floor: Any) -> None:
    graph = mlp([2, 3, 2])
    with pytest.raises(PlanError, match="floor: wanted an integer of at least 1 or a ratio"):
        select(graph, scores_of(graph, 0), {"units": 0.3}, floor=floor)


@pytest.mark.parametrize("multiple_of", [0, -8, True, 8.0, "8"])
def test_a_multiple_that_makes_no_sense_is_refused(multiple_of: Any) -> None:
    graph = mlp([2, 3, 2])
    with pytest.raises(PlanError, match="multiple_of: wanted an integer of at least 1"):
        select(graph, scores_of(graph, 0), {"units": 0.3}, multiple_of=multiple_of)


# ---------------------------------------------------------------------- budgets


def test_an_impossible_budget_says_what_can_be_reached() -> None:
    graph = mlp([100, 4, 100])
    message = (
        r"remove\['macs'\]: wanted 0\.9 of macs removed, got at most 0\.7500 of macs "
        r"\(1 of 1 axes take part, floor=1, multiple_of=1\)\. Ask for less"
    )
    with pytest.raises(BudgetError, match=message):
        select(graph, scores_of(graph, 0), {"macs": 0.9, "params": 0.1})


def test_every_missed_budget_is_named() -> None:
    graph = mlp([100, 4, 100])
    with pytest.raises(BudgetError, match=r"remove\['macs'\], remove\['units'\]: .* of macs, at most 0\.7500 of units"):
        select(graph, scores_of(graph, 0), {"macs": 0.9, "params": 0.1, "units": 0.8})


@pytest.mark.parametrize("ratio", [0, 1, -0.5, 50, float("nan"), float("inf"), "half", True, None])
def test_a_ratio_outside_0_to_1_is_refused(ratio: Any) -> None:
    graph = mlp([2, 3, 2])
    with pytest.raises(PlanError, match=r"remove\['macs'\]: wanted a ratio between 0 and 1"):
        select(graph, scores_of(graph, 0), {"macs": ratio})


@pytest.mark.parametrize("remove", [None, {}])
def test_no_budget_is_refused(remove: Any) -> None:
    graph = mlp([2, 3, 2])
    with pytest.raises(PlanError, match="remove: wanted a ratio for one of macs, params, bytes, units, got none"):
        select(graph, scores_of(graph, 0), remove)


def test_an_unknown_budget_gives_the_nearest() -> None:
    graph = mlp([2, 3, 2])
    with pytest.raises(PlanError, match=r"got 'parameters'\. Did you mean 'params'\?"):
        select(graph, scores_of(graph, 0), {"parameters": 0.5})


def test_what_a_model_does_not_have_cannot_be_removed() -> None:
    graph = trace(nn.Embedding(5, 4), (torch.zeros(2, 3, dtype=torch.int64),), free_outputs=True)
    assert graph.cost().macs == 0
    assert graph.axes
    with pytest.raises(BudgetError, match=r"at most 0\.0000 of macs"):
        select(graph, scores_of(graph, 0), {"macs": 0.5})


# ---------------------------------------------------------------------- scope


def test_an_unknown_scope_gives_the_nearest() -> None:
    graph = mlp([2, 3, 2])
    with pytest.raises(PlanError, match=r"scope: wanted global, layerwise or ratios by axis, got 'layer'.*'layerwise'"):
        select(graph, scores_of(graph, 0), {"units": 0.3}, scope="layer")  # type: ignore[arg-type]


def test_ratios_by_axis_are_rounded_up() -> None:
    graph = mlp([2, 10, 7, 9, 2])
    scores = scores_of(graph, 0)
    assert _counts(select(graph, scores, scope={"0": 0.3, "2": 0.3})) == {"0": 3, "2": 3}
    assert _counts(select(graph, scores, scope={"*": 0.3, "1": 0.5})) == {"0": 3, "1": 4, "2": 3}
    assert _counts(select(graph, scores, scope={"[01]": 0.5, "*": 0.1})) == {"0": 5, "1": 4, "2": 1}


def test_ratios_by_axis_must_meet_a_budget_given_too() -> None:
    graph = mlp([2, 10, 10, 2])
    scores = scores_of(graph, 0)
    assert select(graph, scores, {"units": 0.5}, scope={"*": 0.5}).removed
    with pytest.raises(BudgetError, match=r"at most 0\.5000 of units \(with the ratios in scope\)"):
        select(graph, scores, {"units": 0.51}, scope={"*": 0.5})


def test_a_ratio_that_the_floor_forbids_is_refused() -> None:
    graph = mlp([2, 10, 2])
    with pytest.raises(BudgetError, match=r"axis '0': wanted 9 of 10 units removed, got at most 7 \(0\.7000 of them\)"):
        select(graph, scores_of(graph, 0), scope={"0": 0.9}, floor=3)


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ({"layer1.0.conv9": 0.5}, r"scope\['layer1\.0\.conv9'\]: wanted an axis or a pattern.*'layer1\.0\.conv1'"),
        ({"layer1.0.conv1": 1.5}, r"scope\['layer1\.0\.conv1'\]: wanted a ratio between 0 and 1, got 1\.5"),
        ({"conv1": 0.5}, r"scope\['conv1'\]: wanted an axis that may be cut"),
        ({}, r"scope: wanted a ratio for an axis, got none"),
    ],
)
def test_ratios_that_make_no_sense_are_refused(scope: dict[str, float], message: str) -> None:
    graph = graph_of("resnet8/0.5")
    with pytest.raises(PlanError, match=message):
        select(graph, scores_of(graph, 0), scope=scope, protect=["conv1"])


# ---------------------------------------------------------------------- what takes part


class _Network(nn.Module):
    """A stem, a norm, a block inside a module, and a head whose outputs cannot be cut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.block = nn.ModuleDict({"up": nn.Linear(8, 16), "down": nn.Linear(16, 6)})
        self.head = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.block["down"](self.block["up"](self.norm(self.stem(x)))))
        return result


@pytest.mark.parametrize(
    ("protect", "protected"),
    [
        (["stem"], {"stem"}),
        (["stem.weight"], {"stem"}),
        (["norm"], {"stem"}),
        (["block"], {"block.up", "block.down"}),
        (["block.*"], {"block.up", "block.down"}),
        (["*down*", "ste?"], {"block.down", "stem"}),
        ("stem", {"stem"}),
        (["head*"], set()),
        ([], set()),
    ],
)
def test_protected_outputs_stay_whole(protect: Any, protected: set[str]) -> None:
    graph = trace(_Network(), (torch.zeros(2, 4),))
    every = {axis.name for axis in graph.axes}
    assert every == {"stem", "block.up", "block.down"}
    plan = select(graph, scores_of(graph, 0), scope={"*": 0.5}, protect=protect)
    assert set(plan.removed) == every - protected


def test_a_stage_protects_the_stream_that_it_adds_to() -> None:
    graph = graph_of("resnet8/0.5")
    plan = select(graph, scores_of(graph, 0), scope={"*": 0.5}, protect=["layer1"])
    ordinary = {axis.name for axis in graph.axes if axis.kind != "branch"}
    assert ordinary - set(plan.removed) == {"conv1", "layer1.0.conv1"}


def test_a_pattern_that_matches_nothing_gives_the_nearest() -> None:
    graph = trace(_Network(), (torch.zeros(2, 4),))
    with pytest.raises(PlanError, match=r"protect: .* got 'blok\.up', which matches none\. Did you mean 'block\.up'"):
        select(graph, scores_of(graph, 0), {"units": 0.3}, protect=["blok.up"])


def test_units_of_protected_axes_count_as_dense() -> None:
    graph = mlp([2, 10, 10, 2])
    assert _counts(select(graph, scores_of(graph, 0), {"units": 0.4}, protect=["0"])) == {"1": 8}


def test_nothing_left_to_cut_is_refused() -> None:
    graph = mlp([2, 10, 10, 2])
    with pytest.raises(PlanError, match="select: wanted an axis that may be cut, got none of the 2 axes"):
        select(graph, scores_of(graph, 0), {"units": 0.4}, protect=["*"])


def test_only_kinds_asked_for_take_part() -> None:
    graph = graph_of("attention")
    plan = select(graph, scores_of(graph, 0), {"units": 0.2}, kinds=["head_dim"])
    assert {graph[name].kind for name in plan.removed} == {"head_dim"}
    assert select(graph, scores_of(graph, 0), {"units": 0.2}, kinds="head_dim") == plan


def test_an_unknown_kind_gives_the_nearest() -> None:
    graph = mlp([2, 3, 2])
    with pytest.raises(PlanError, match=r"kinds: wanted one of .*, got 'channels'\. Did you mean 'channel'"):
        select(graph, scores_of(graph, 0), {"units": 0.3}, kinds=["channels"])


# ---------------------------------------------------------------------- scores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"3": torch.ones(3)}, r"scores\['3'\]: wanted the name of an axis"),
        ({"0": torch.ones(4)}, r"scores\['0'\]: wanted a floating tensor of shape \(3,\)"),
        ({"0": torch.tensor([1, float("nan"), 1])}, r"scores\['0'\]: wanted finite scores, got nan at unit 1"),
        ({"0": torch.tensor([1, 1, float("inf")])}, r"scores\['0'\]: wanted finite scores, got inf at unit 2"),
    ],
)
def test_wrong_scores_are_refused_and_the_model_is_as_before(change: dict[str, Any], message: str) -> None:
    graph = mlp([2, 3, 4, 2])
    before = deepcopy(graph.model.state_dict())
    with pytest.raises(PlanError, match=message):
        select(graph, {**scores_of(graph, 0), **change}, {"units": 0.3})
    for path, tensor in graph.model.state_dict().items():
        assert torch.equal(tensor, before[path])


def test_missing_scores_are_refused_where_they_are_needed() -> None:
    graph = mlp([2, 3, 4, 2])
    scores = scores_of(graph, 0)
    del scores["0"]
    with pytest.raises(PlanError, match=r"scores\['0'\]: .*got no scores"):
        select(graph, scores, {"units": 0.3})
    assert _counts(select(graph, scores, {"units": 0.3}, protect=["0"])) == {"1": 3}


def test_a_model_is_not_a_graph() -> None:
    with pytest.raises(PlanError, match="wanted a Graph, got Linear"):
        select(nn.Linear(2, 2), {}, {"units": 0.3})  # type: ignore[arg-type]


def test_a_cut_that_the_code_cannot_follow_is_refused_by_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = mlp([2, 3, 2])

    def refuse(removed: Any) -> Any:
        raise PlanError("model.py:7 (view)", wanted="a size of 2", got="3", cure="Leave an axis out.")

    monkeypatch.setattr(graph, "plan", refuse)
    with pytest.raises(PlanError, match=r"model\.py:7"):
        select(graph, scores_of(graph, 0), {"units": 0.3})


def test_selecting_changes_nothing() -> None:
    graph, _ = toy("residual")
    graph.model.train()
    before = deepcopy(graph.model.state_dict())
    select(graph, scores_of(graph, 0), {"macs": 0.5})
    assert graph.model.training
    for path, tensor in graph.model.state_dict().items():
        assert torch.equal(tensor, before[path])
