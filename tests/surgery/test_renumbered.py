"""Index buffers after a cut: what a plan says about them, and models whose indices are others."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from secateurs import PlanError, apply, load, save, trace
from secateurs.graph import Plan, Renumber

X = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))


class Ordered(nn.Module):
    """Units in the order of a buffer."""

    def __init__(self, order: tuple[int, ...] = (3, 1, 0, 2, 5, 4), *, saved: bool = True) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 3)
        self.register_buffer("order", torch.tensor(order), persistent=saved)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(torch.tanh(self.first(x))[:, self.get_buffer("order")])
        return out


def planned(model: nn.Module) -> Plan:
    """Without the units 1 and 3, which stand at places 1 and 0 of the order."""
    return trace(model, (X,)).plan({"first": [1, 3]})


def test_a_plan_says_which_entries_go_and_what_they_count() -> None:
    model = Ordered()
    plan = planned(model)
    assert plan.renumbered == (Renumber(path="order", removed=(1, 3)),)
    assert plan.kept("order")[0].tolist() == [2, 3, 4, 5]
    assert apply(model, plan).model.get_buffer("order").tolist() == [0, 1, 3, 2]
    assert model.get_buffer("order").tolist() == [3, 1, 0, 2, 5, 4]


def test_plans_of_before_still_load() -> None:
    content = json.loads(json.dumps(planned(Ordered()).to_json()))
    del content["renumbered"]
    assert Plan.from_json(content).renumbered == ()


@pytest.mark.parametrize("entry", [{"path": "first.weights", "removed": [1]}, {"path": "order", "removed": [-1]}, {}])
def test_damaged_entries_are_refused(entry: dict[str, object]) -> None:
    content = json.loads(json.dumps(planned(Ordered()).to_json()))
    content["renumbered"] = [entry]
    with pytest.raises(PlanError, match=r"wanted a plan written by Plan\.save"):
        Plan.from_json(content)


def test_another_order_is_refused_and_left_alone() -> None:
    plan, other = planned(Ordered()), Ordered((0, 1, 2, 3, 4, 5))
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(PlanError, match=r"order: wanted the values that the plan was made for"):
        apply(other, plan, inplace=True)
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


def test_a_saved_order_replaces_that_of_the_factory(tmp_path: Path) -> None:
    smaller = apply(Ordered(), planned(Ordered()), verify=False).model
    save(smaller, tmp_path / "small.safetensors")
    loaded = load(tmp_path / "small.safetensors", lambda: Ordered((0, 1, 2, 3, 4, 5)))
    assert torch.equal(loaded(X), smaller(X))


def test_an_order_that_is_not_saved_must_be_the_same(tmp_path: Path) -> None:
    model = Ordered(saved=False)
    save(apply(model, planned(model)), tmp_path / "small.safetensors")
    with pytest.raises(PlanError, match=r"order: wanted the values that the plan was made for"):
        load(tmp_path / "small.safetensors", lambda: Ordered((0, 1, 2, 3, 4, 5), saved=False))


def test_two_cuts_in_a_row() -> None:
    once = apply(Ordered(), planned(Ordered())).model
    twice = apply(once, trace(once, (X,)).plan({"first": [0]})).model
    assert sorted(twice.get_buffer("order").tolist()) == [0, 1, 2]
