"""The proof inside `apply`: wrong cuts are caught, and a proof that cannot fail does not count."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from secateurs import SecateursError
from secateurs.graph import Graph, Plan, trace
from secateurs.surgery import _apply, apply, fill_random, relative_error
from secateurs.surgery._cut import cut_model
from tests.surgery._proof import case, third
from tests.surgery._state import unchanged
from tests.surgery.test_refused import trained
from tests.zoo import ZOO


def wrong_cut(model: nn.Module, plan: Plan) -> None:
    """Cuts another position of one weight."""
    number, cut = next((i, cut) for i, cut in enumerate(plan.cuts) if cut.path == "a2.weight" and cut.dim == 1)
    other = tuple(sorted((position + 1) % cut.size for position in cut.removed))
    changed = (*plan.cuts[:number], dataclasses.replace(cut, removed=other), *plan.cuts[number + 1 :])
    cut_model(model, dataclasses.replace(plan, cuts=changed))


@pytest.mark.parametrize("inplace", [False, True])
def test_a_wrong_cut_is_caught_and_the_model_left_alone(monkeypatch: pytest.MonkeyPatch, inplace: bool) -> None:
    model, optimizer, plan, _ = trained()
    monkeypatch.setattr(_apply, "cut_model", wrong_cut)
    message = r"the cut model: wanted the masked dense model's outputs within 1\.0e-09, got a relative difference of"
    with unchanged(model, optimizer), pytest.raises(SecateursError, match=message):
        apply(model, plan, optimizer=optimizer, inplace=inplace)
    monkeypatch.undo()
    assert apply(model, plan, optimizer=optimizer, inplace=inplace).report.verified


def test_a_cut_model_that_does_not_run_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(model: nn.Module, plan: Plan) -> None:
        cut_model(model, dataclasses.replace(plan, cuts=tuple(cut for cut in plan.cuts if cut.path != "head.weight")))

    model, _, plan, _ = trained()
    monkeypatch.setattr(_apply, "cut_model", forget)
    message = r"the cut model: wanted a model that runs on the example, got RuntimeError: .*unchanged"
    with unchanged(model), pytest.raises(SecateursError, match=message):
        apply(model, plan)


class Zeroed(nn.Module):
    """A branch scaled by zero, and on request one whose result nobody reads."""

    def __init__(self, *, unread: bool = False) -> None:
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(6, 8), nn.Linear(6, 7), nn.Linear(8, 4)
        self.scale, self.unread = nn.Parameter(torch.zeros(8)), unread
        self.outer = nn.Linear(7, 8)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.outer(torch.tanh(self.inner(x)))
        x = self.first(x)
        out: Tensor = self.last(x if self.unread else x + self.scale * branch)
        return out


def graph_of(model: nn.Module) -> Graph:
    """A trace on six features."""
    return trace(model, torch.randn(2, 6))


def test_outputs_that_ignore_the_cut_are_proved_with_random_weights() -> None:
    model = Zeroed()
    report = apply(model, graph_of(model).plan({"inner": [0, 3]})).report
    assert report.verified
    assert report.proof is not None
    assert report.proof.random_weights
    assert "weights filled at random" in str(report)
    assert model.scale.abs().max() == 0


def test_a_wrong_cut_behind_a_zero_scale_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first comparison agrees, whatever was cut; the second is made of the plan and the tampered cut."""
    model = Zeroed()
    plan = graph_of(model).plan({"inner": [0, 3]})
    number = next(i for i, cut in enumerate(plan.cuts) if cut.path == "outer.weight")
    other = dataclasses.replace(plan.cuts[number], removed=(1, 2))
    wrong = dataclasses.replace(plan, cuts=(*plan.cuts[:number], other, *plan.cuts[number + 1 :]))
    with pytest.raises(SecateursError, match=r"the cut model: wanted the masked dense model's outputs"):
        apply(model, wrong)


def test_a_dead_unit_is_proved_with_other_weights() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    nn.init.constant_(model[0].bias, -100.0)  # type: ignore[arg-type]
    for unit in range(8):
        assert apply(model, graph_of(model).plan({"0": [unit]})).report.verified


def test_a_proof_that_cannot_fail_does_not_count() -> None:
    model = Zeroed(unread=True)
    report = apply(model, graph_of(model).plan({"inner": [0, 3]})).report
    assert not report.verified
    assert str(report).startswith("not verified: the outputs do not depend on what was cut")


def test_without_verification_nothing_is_claimed() -> None:
    model, _, plan, _ = trained()
    report = apply(model, plan, verify=False).report
    assert (report.verified, report.proof, report.error) == (False, None, None)
    assert str(report).startswith("not verified, ")


def test_a_proof_says_how_good_it_is() -> None:
    model, _, plan, _ = trained()
    report = apply(model, plan).report
    assert report.proof is not None
    assert report.error is not None
    assert report.error < 1e-12
    assert (report.proof.tolerance, report.proof.precision, report.proof.random_weights) == (1e-9, "float64", False)
    assert str(report).startswith("verified to ")


@pytest.mark.parametrize(
    "example", [torch.randn(5, 3, 8, 8), (torch.randn(1, 3, 6, 6),), {"x": torch.randn(1, 3, 8, 8)}]
)
def test_any_example_will_do(example: Any) -> None:
    model, _, plan, _ = trained()
    assert apply(model, plan, example=example).report.verified


class Lower(nn.Module):
    """Computes in float32 whatever comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x)).float().softmax(0).to(x.dtype)
        out: Tensor = self.last(x)
        return out


def test_lower_precision_is_measured() -> None:
    model = Lower()
    report = apply(model, graph_of(model).plan({"first": [1, 2]})).report
    assert report.verified
    assert report.proof is not None
    assert report.proof.precision == "float32"
    assert 1e-7 < report.proof.tolerance < 1e-4


@pytest.mark.parametrize(
    ("expected", "got", "error"),
    [
        ([torch.tensor([4.0, 2.0])], [torch.tensor([4.0, 1.0])], 0.25),
        ([torch.zeros(2)], [torch.tensor([0.0, 0.5])], 0.5),
        ([torch.ones(2)], [torch.ones(3)], float("inf")),
        ([torch.ones(2)], [], float("inf")),
        ([torch.tensor([1.0, float("nan")])], [torch.tensor([1.0, 2.0])], float("inf")),
        ([torch.tensor([1.0, float("inf")])], [torch.tensor([1.0, float("inf")])], 0.0),
        ([torch.tensor([1, 2])], [torch.tensor([1, 4])], 1.0),
        ([torch.tensor([1 + 2j])], [torch.tensor([1 + 1j])], 0.5),
        ([torch.zeros(0)], [torch.zeros(0)], 0.0),
    ],
)
def test_relative_error(expected: list[Tensor], got: list[Tensor], error: float) -> None:
    assert relative_error(expected, got) == pytest.approx(error)


def test_random_fill_is_repeatable_and_of_moderate_size() -> None:
    one, two = ZOO["mlp_norms"].build(), ZOO["mlp_norms"].build()
    fill_random(one, seed=3)
    fill_random(two, seed=3)
    for (name, a), b in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        assert torch.equal(a, b)
        assert a.abs().max() < 10
        if name.endswith("running_var"):
            assert a.min() > 0.4


def test_plans_of_every_zoo_model_pass_their_own_proof() -> None:
    for name in ("grouped", "decoder", "rotary", "write_slice", "pad_then_norm", "keywords"):
        found = case(name)
        report = apply(found.model, found.graph.plan(third(found.graph))).report
        assert report.verified, name
        assert report.error is not None
        assert report.error < 1e-12
