"""Plans that do not fit leave everything as it was: bits, flags, hooks, gradients, optimizer, random state."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from secateurs import SecateursError
from secateurs.graph import Plan, trace
from secateurs.surgery import apply, masked
from tests.surgery._proof import third
from tests.surgery._state import unchanged
from tests.zoo import ZOO

INPLACE = pytest.mark.parametrize("inplace", [False, True])


def trained(name: str = "residual") -> tuple[nn.Module, torch.optim.Optimizer, Plan, Any]:
    """A model with gradients and momentum, mixed flags and a hook; a plan made for its class before."""
    torch.manual_seed(0)
    model, (x,) = ZOO[name].build(), ZOO[name].arguments(2)
    graph = trace(model, (x,))
    plan = graph.plan(third(graph))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model.train()
    model(x).square().sum().backward()
    optimizer.step()
    next(iter(model.children())).eval()
    model.register_forward_hook(lambda *_args: None)
    return model, optimizer, plan, x


def changed(plan: Plan, **fields: Any) -> Plan:
    """The plan with some fields replaced, as if from a tampered file."""
    return dataclasses.replace(plan, graph=None, **fields)


def shift(plan: Plan) -> Plan:
    """One position of one cut moved to another place."""
    first = plan.cuts[0]
    moved = (1 - first.removed[0] if first.removed[0] < 2 else 0, *first.removed[1:])
    return changed(plan, cuts=(dataclasses.replace(first, removed=moved), *plan.cuts[1:]))


TAMPERED: dict[str, tuple[Callable[[Plan], Plan], str]] = {
    "a cut left out": (lambda plan: changed(plan, cuts=plan.cuts[1:]), r"the cut model: wanted"),
    "all cuts left out": (lambda plan: changed(plan, cuts=()), r"the cut model: wanted"),
    "a position moved": (shift, r"the cut model: wanted the masked dense model's outputs within"),
    "other units": (
        lambda plan: changed(plan, removed={**plan.removed, "a1": (1, 2)}),
        r"the cut model: wanted the masked dense model's outputs",
    ),
    "units of no axis": (lambda plan: changed(plan, removed={"nowhere": (0,)}), r"axis 'nowhere'"),
    "units out of range": (lambda plan: changed(plan, removed={"a1": (70,)}), r"axis 'a1': wanted unit indices"),
    "another size": (lambda plan: changed(plan, sizes={**plan.sizes, "a1": 9}), r"axis 'a1': wanted 9 units, got 7"),
    "another shape": (
        lambda plan: changed(plan, shapes={**plan.shapes, "a1.weight": (9, 9, 3, 3)}),
        r"a1\.weight: wanted shape \(9, 9, 3, 3\), got \(7, 6, 3, 3\)\. Apply a plan to the model it was made for",
    ),
    "an unknown tensor": (
        lambda plan: changed(plan, shapes={**plan.shapes, "a9.weight": (9,)}),
        r"a9\.weight: wanted shape \(9,\), got no such tensor",
    ),
    "an attribute's value": (
        lambda plan: changed(plan, edits=(dataclasses.replace(plan.edits[0], before=77), *plan.edits[1:])),
        r"a1\.out_channels: wanted 77, got 7",
    ),
    "an attribute's name": (
        lambda plan: changed(plan, edits=(dataclasses.replace(plan.edits[0], name="nothing"), *plan.edits[1:])),
        r"a1\.nothing: wanted 7, got None",
    ),
    "a module's path": (
        lambda plan: changed(plan, edits=(dataclasses.replace(plan.edits[0], path="b.9"), *plan.edits[1:])),
        r"b\.9: wanted a module of the model, got no such module",
    ),
    "a replaced module": (
        lambda plan: changed(plan, replaced=("head",)),
        r"head: wanted nn\.MultiheadAttention, got Linear",
    ),
    "no inputs": (lambda plan: changed(plan, inputs={}), r"plan inputs: wanted described arguments"),
}


@INPLACE
@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_plan_is_caught_and_changes_nothing(name: str, inplace: bool) -> None:
    model, optimizer, plan, _ = trained()
    tamper, message = TAMPERED[name]
    wrong = tamper(plan)
    with unchanged(model, optimizer), pytest.raises(SecateursError, match=message):
        apply(model, wrong, optimizer=optimizer, inplace=inplace)


@INPLACE
def test_a_plan_of_another_model_is_refused(inplace: bool) -> None:
    model, optimizer, _, _ = trained()
    for other in ("pre_activation", "conv", "mlp"):
        _, _, plan, _ = trained(other)
        with (
            unchanged(model, optimizer),
            pytest.raises(SecateursError, match=r"wanted shape .*Apply a plan to"),
        ):
            apply(model, plan, optimizer=optimizer, inplace=inplace)


@INPLACE
def test_a_plan_applied_twice_is_refused(inplace: bool) -> None:
    model, _, plan, _ = trained()
    smaller = apply(model, plan).model
    with unchanged(smaller), pytest.raises(SecateursError, match=r"wanted shape .* before any other cut"):
        apply(smaller, plan, inplace=inplace)


@INPLACE
def test_a_changed_attribute_is_refused(inplace: bool) -> None:
    torch.manual_seed(0)
    model, arguments = ZOO["attention_matmul"].build(), ZOO["attention_matmul"].arguments(2)
    plan = trace(model, arguments).plan({"qkv:head": [1]})
    model.heads = 6  # type: ignore[assignment]
    with unchanged(model), pytest.raises(SecateursError, match=r"heads: wanted 3, got 6"):
        apply(model, plan, inplace=inplace)


class OwnState(torch.optim.SGD):
    """Keeps something beside the momentum."""

    def __init__(self, model: nn.Module, path: str, value: Any) -> None:
        super().__init__(model.parameters(), lr=0.1)
        self.state[model.get_parameter(path)]["own"] = value


@INPLACE
@pytest.mark.parametrize("value", [torch.ones(3, 3), torch.ones(6), [torch.ones(2)], object()])
def test_an_optimizer_whose_state_does_not_fit_is_refused(value: Any, inplace: bool) -> None:
    model, _, plan, _ = trained()
    optimizer = OwnState(model, "stem.weight", value)
    message = r"OwnState state 'own' of stem\.weight: wanted a tensor of shape \(6, 3, 1, 1\).*new one"
    with unchanged(model), pytest.raises(SecateursError, match=message):
        apply(model, plan, optimizer=optimizer, inplace=inplace)
    assert optimizer.state[model.get_parameter("stem.weight")]["own"] is value


def test_an_optimizer_that_flattens_all_parameters_is_refused() -> None:
    """LBFGS keeps vectors over all parameters with the first of them, which the plan need not touch."""
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 4))
    x = torch.randn(5, 6)
    optimizer = torch.optim.LBFGS(model.parameters())

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = model(x).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    plan = trace(model, x).plan({"2": [0]})
    with pytest.raises(SecateursError, match=r"LBFGS state '\w+' of 0\.weight: wanted a tensor of shape \(8, 6\)"):
        apply(model, plan, optimizer=optimizer, inplace=True)


@pytest.mark.parametrize("example", [3, "x", [torch.ones(2, 3, 8, 8)]])
def test_an_example_of_another_kind_is_refused(example: Any) -> None:
    model, optimizer, plan, _ = trained()
    with (
        unchanged(model, optimizer),
        pytest.raises(SecateursError, match=r"example: wanted a tensor, tuple or mapping"),
    ):
        apply(model, plan, optimizer=optimizer, inplace=True, example=example)


def test_masking_with_a_plan_of_another_model_is_refused() -> None:
    model, _, _, _ = trained()
    _, _, plan, _ = trained("conv")
    for wrong in (plan, changed(plan)):
        with unchanged(model), pytest.raises(SecateursError, match=r"wanted shape"), masked(model, wrong):
            raise AssertionError("the plan was taken")
