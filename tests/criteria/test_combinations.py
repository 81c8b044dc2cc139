"""Criteria made of criteria, and several that share a pass."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from secateurs import criteria
from secateurs._errors import ConfigError, PlanError
from secateurs.criteria import (
    LAMP,
    SNIP,
    ActivationMean,
    ActivationNorm,
    APoZ,
    Average,
    Contribution,
    Criterion,
    Directed,
    Fisher,
    GraSP,
    HRank,
    Magnitude,
    Normalized,
    Product,
    Random,
    Taylor,
    build,
    score_together,
)
from secateurs.recipes.stages import PruneStage
from tests.criteria._by_hand import data, loss
from tests.criteria._toys import toy

TOGETHER: list[Criterion] = [
    Taylor(),
    Taylor(at="gate"),
    Fisher(),
    Fisher(at="weights"),
    SNIP(),
    ActivationMean(),
    ActivationNorm(p=2),
    APoZ(),
    HRank(),
    Magnitude(),
    GraSP(),
    Average(criteria=(Taylor(at="gate"), ActivationMean(), Random(seed=3))),
]


class _Calls:
    """Counts forward passes and losses."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.forward = self.losses = 0
        model.register_forward_hook(self._called)

    def _called(self, *_: Any) -> None:
        self.forward += 1

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.losses += 1
        return loss(outputs, targets)


@pytest.mark.parametrize("name", ["residual", "grouped"])
def test_together_they_score_as_each_alone(name: str) -> None:
    graph, batches = data(name)
    found = score_together(graph, TOGETHER, batches=batches, loss=loss)
    for criterion, scores in zip(TOGETHER, found, strict=True):
        alone = criterion(graph, batches=batches, loss=loss)
        for axis in graph.axes:
            torch.testing.assert_close(scores[axis.name], alone[axis.name], rtol=1e-12, atol=0)


def test_those_that_stream_share_a_pass() -> None:
    graph, batches = data("residual")
    calls = _Calls(graph.model)
    score_together(graph, [*TOGETHER[:3], *TOGETHER[4:10], TOGETHER[-1]], batches=batches, loss=calls.loss)
    assert (calls.forward, calls.losses) == (1 + len(batches), len(batches))  # one looks for writes in place


def test_without_gradients_nobody_asks_for_a_loss() -> None:
    graph, batches = data("residual")
    calls = _Calls(graph.model)
    Average(criteria=(ActivationMean(), HRank(), APoZ()))(graph, batches=batches, loss=calls.loss)
    assert (calls.forward, calls.losses) == (len(batches), 0)
    assert all(not values.requires_grad for values in ActivationMean()(graph, batches=batches).values())


def test_an_image_at_a_time_is_a_pass_of_its_own() -> None:
    graph, batches = data("residual")
    calls = _Calls(graph.model)
    score_together(graph, [Fisher(at="weights"), Taylor()], batches=batches, loss=calls.loss)
    assert calls.losses == len(batches) + sum(len(images) for images, _ in batches)


@pytest.mark.parametrize("by", ["sum", "mean", "max", "norm", "standardize"])
def test_normalised_scores_have_the_measure_that_they_are_named_after(by: Any) -> None:
    graph, batches = data("residual")
    plain = GraSP(temperature=1)(graph, batches=batches, loss=loss)
    assert any((values < 0).any() for values in plain.values())
    for name, values in Normalized(criterion=GraSP(temperature=1), by=by)(graph, batches=batches, loss=loss).items():
        sizes = values.abs()
        measure = {
            "sum": sizes.sum(),
            "mean": sizes.mean(),
            "max": sizes.max(),
            "norm": values.norm(),
            "standardize": values.std(correction=0) + values.mean().abs(),
        }[by]
        assert float(measure) == pytest.approx(1)
        assert torch.equal(values.argsort(), plain[name].argsort())


@pytest.mark.parametrize("by", ["sum", "mean", "max", "norm", "standardize"])
def test_zeros_stay_zeros(by: Any) -> None:
    graph, _ = toy("chain")
    with torch.no_grad():
        graph.tensor("0.weight").zero_()
    assert Normalized(criterion=Magnitude(), by=by)(graph)["0"].tolist() == [0] * 7


def test_averages_are_weighted_means_of_what_was_made_comparable() -> None:
    graph, _ = toy("residual")
    one, other = Magnitude()(graph), Random()(graph)
    found = Average(criteria=(Magnitude(), "random"), weights=(1, 3), by="sum")(graph)  # type: ignore[arg-type]
    plain = Average(criteria=(Magnitude(), LAMP()), by=None)(graph)
    for name in found:
        wanted = (one[name].double() / one[name].double().sum() + 3 * other[name] / other[name].sum()) / 4
        torch.testing.assert_close(found[name], wanted)
        torch.testing.assert_close(plain[name], (one[name].double() + LAMP()(graph)[name]) / 2)


def test_a_product_of_negative_scores_is_refused() -> None:
    graph, batches = data("residual")
    with pytest.raises(PlanError, match=r"product', scores\['.*'\] of GraSP: wanted scores of 0 or more, got -"):
        Product(criteria=(Magnitude(), GraSP()))(graph, batches=batches, loss=loss)


def _order(scores: criteria.Scores, *, branches: bool) -> list[tuple[str, int]]:
    entries = [
        (float(value), name, unit)
        for name, values in scores.items()
        if name.endswith(":branch") is branches
        for unit, value in enumerate(values)
    ]
    return [(name, unit) for _, name, unit in sorted(entries)]


def test_directions_take_from_one_end_or_the_other_or_both() -> None:
    graph, _ = toy("residual")
    for branches in (False, True):
        lowest, highest, hybrid = (
            _order(Directed(criterion=Magnitude(), direction=direction)(graph), branches=branches)
            for direction in ("lowest", "highest", "hybrid")
        )
        assert lowest == _order(Magnitude()(graph), branches=branches)
        assert highest == lowest[::-1]
        assert hybrid[:4] == [lowest[0], lowest[-1], lowest[1], lowest[-2]]
        assert sorted(hybrid) == sorted(lowest)
    within = Directed(criterion=Magnitude(), direction="hybrid", within="axis")(graph)["inner"]
    ranks = Magnitude()(graph)["inner"].argsort().tolist()
    assert within.argsort().tolist() == [ranks[0], ranks[4], ranks[1], ranks[3], ranks[2]]


NESTED = {
    "criteria": [
        {"name": "taylor", "options": {"at": "gate"}},
        {"name": "directed", "options": {"criterion": "magnitude", "direction": "highest"}},
        "lamp",
    ],
    "weights": [2, 1, 1],
    "by": "standardize",
}


def test_recipes_spell_combinations_out() -> None:
    made = build("average", **NESTED)
    assert made == Average(
        criteria=(Taylor(at="gate"), Directed(criterion=Magnitude(), direction="highest"), LAMP()),
        weights=(2, 1, 1),
        by="standardize",
    )
    stage = PruneStage(type="prune", remove={"macs": 0.5}, criterion={"name": "average", "options": NESTED})  # type: ignore[arg-type]
    stage.check()
    graph, batches = data("residual")
    assert set(made(graph, batches=batches, loss=loss)) == {axis.name for axis in graph.axes}


def test_what_all_parts_can_split_over_ranks_the_whole_can() -> None:
    assert Average(criteria=(Taylor(), ActivationMean())).reduces
    assert not Product(criteria=(Taylor(), Magnitude())).reduces
    assert Normalized(criterion=Directed(criterion=Contribution())).reduces


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("average", {}, r"criterion 'average' options: wanted criteria, got no criteria"),
        ("average", {"criteria": []}, "criteria: wanted a list of criteria"),
        ("average", {"criteria": "taylor"}, "criteria: wanted a list of criteria, got 'taylor'"),
        ("average", {"criteria": ["tailor"]}, r"got 'tailor'\. Did you mean 'taylor'"),
        ("average", {"criteria": [3]}, r"criteria\[0\]: wanted a criterion, its name, or .*, got 3"),
        ("average", {"criteria": ["lamp"], "weights": [1, 2]}, "weights: wanted 1 numbers of 0 or more"),
        ("average", {"criteria": ["lamp"], "weights": [-1]}, "weights: wanted 1 numbers of 0 or more"),
        ("average", {"criteria": ["lamp"], "by": "median"}, "by: wanted one of sum, mean, max, norm, standardize"),
        ("product", {"criteria": [{"name": "lamp", "option": {}}]}, r"criteria\[0\]: wanted a criterion"),
        ("normalized", {"criterion": {"name": "taylor", "options": {"at": "x"}}}, "taylor' at: wanted"),
        ("normalized", {"criterion": "lamp", "by": 3}, "by: wanted one of"),
        ("directed", {"criterion": "lamp", "direction": "low"}, "direction: wanted one of lowest, highest, hybrid"),
        ("directed", {"criterion": "lamp", "within": "layer"}, "within: wanted one of all, axis"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(name, **options)


def test_a_shared_pass_asks_for_what_any_part_needs() -> None:
    graph, batches = data("chain")
    with pytest.raises(PlanError, match="ActivationMean and criterion Taylor: wanted a loss"):
        score_together(graph, [ActivationMean(), Taylor()], batches=batches)
    with pytest.raises(PlanError, match="wanted a Graph, got Sequential"):
        score_together(graph.model, [Magnitude()])  # type: ignore[arg-type]
    assert score_together(graph, [], batches=batches) == []
    (found,) = score_together(graph, [Taylor()], batches=batches, loss=F.cross_entropy)
    assert set(found) == {"0", "2"}
