"""Proofs of models that are odd: their types, their randomness, what they return, what they weigh."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import SecateursError, criteria, prune, select
from secateurs.graph import Plan, rebuild_inputs, trace
from secateurs.graph.model._inputs import describe_inputs
from secateurs.surgery import _apply, _verify, apply, load, masked, relative_error, save
from secateurs.surgery._cut import cut_model


class Between(nn.Module):
    """Two layers with something in between."""

    def __init__(self, between: Callable[[Tensor], Tensor], after: Callable[[Tensor], Any] = lambda y: y) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.between, self.after = nn.Linear(6, 8), nn.Linear(8, 4), between, after

    def forward(self, x: Tensor) -> Any:
        return self.after(self.last(self.between(self.first(x))))


def x(dtype: torch.dtype = torch.float32) -> Tensor:
    """An input."""
    return torch.randn(3, 6, generator=torch.Generator().manual_seed(0)).to(dtype)


def wrong(model: nn.Module, plan: Plan) -> None:
    """A cut that takes other rows of the second layer than the plan says."""
    cut_model(model, plan)
    last = model.get_submodule("last")
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.copy_(last.weight.flip(1))


def proved(model: nn.Module, monkeypatch: pytest.MonkeyPatch, data: Tensor | None = None) -> _apply.Report:
    """The report of a right cut, after a wrong one was refused."""
    plan = trace(model, x() if data is None else data).plan({"first": [1, 4]})
    monkeypatch.setattr(_apply, "cut_model", wrong)
    with pytest.raises(SecateursError, match=r"the cut model: wanted the masked dense model's outputs within"):
        apply(model, plan)
    monkeypatch.undo()
    return apply(model, plan).report


# ---------------------------------------------------------------------- what is returned

RETURNED: dict[str, Callable[[Tensor], Any]] = {
    "infinities": lambda y: (y, torch.where(y > 0, float("inf"), y)),
    "masked scores": lambda y: y.masked_fill(torch.eye(3, 4).bool(), float("-inf")),
    "NaN": lambda y: (y, y.sqrt()),
    "integers and booleans": lambda y: (y, y.argmax(-1), y > 0),
    "nothing but integers": lambda y: (y * 1e3).long(),
    "sizes": lambda y: (y, y.shape[0], "text", None),
    "complex numbers": lambda y: torch.fft.fft(y),
    "an empty tensor": lambda y: (y, y[:0]),
    "what cancels to zero": lambda y: (y, (y - y.mean(-1, keepdim=True)).mean(-1)),
}


@pytest.mark.parametrize("what", RETURNED)
def test_every_kind_of_output_is_proved(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    report = proved(Between(torch.tanh, RETURNED[what]), monkeypatch)
    assert report.verified
    assert report.proof is not None
    assert report.proof.tolerance < 1e-5


def test_an_output_of_nothing_but_rounding_proves_nothing() -> None:
    model = Between(torch.tanh, lambda y: (y - y.mean(-1, keepdim=True)).mean(-1) + 0 * y.sum(-1))
    report = apply(model, trace(model, x()).plan({"first": [1]})).report
    assert not report.verified


@pytest.mark.parametrize(
    ("expected", "got"),
    [([1.0, float("inf")], [1.0, float("-inf")]), ([float("nan"), 1.0], [float("inf"), 1.0])],
)
def test_what_is_not_finite_must_be_equal(expected: list[float], got: list[float]) -> None:
    assert relative_error([torch.tensor(expected)], [torch.tensor(got)]) == float("inf")
    assert relative_error([torch.tensor(expected)], [torch.tensor(expected)]) == 0


# ---------------------------------------------------------------------- random numbers and types


def test_random_numbers_are_the_same_in_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Between(lambda y: torch.tanh(y) * torch.rand(3, 1, dtype=y.dtype), lambda y: y + torch.rand_like(y))
    report = proved(model, monkeypatch)
    assert report.verified
    assert report.error is not None
    assert report.error < 1e-12


def test_code_that_insists_on_a_type_is_proved_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    report = proved(Between(lambda y: torch.tanh(y).to(torch.float32)), monkeypatch)
    assert report.verified
    assert report.proof is not None
    assert report.proof.precision == "float32"
    assert report.proof.tolerance < 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("insists", [False, True])
def test_weights_in_half_precision(dtype: torch.dtype, insists: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Between(lambda y: torch.tanh(y).to(dtype) if insists else torch.tanh(y)).to(dtype)
    report = proved(model, monkeypatch, x(dtype))
    assert report.verified
    assert report.proof is not None
    assert report.proof.precision == (str(dtype).removeprefix("torch.") if insists else "float64")
    assert report.proof.tolerance <= 0.05
    cut = apply(model, trace(model, x(dtype)).plan({"first": [1, 4]})).model
    assert {parameter.dtype for parameter in cut.parameters()} == {dtype}


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_parameters(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    class Complex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)
            self.phase = nn.Parameter(torch.randn(4, dtype=dtype))

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.last(F.relu(self.first(x))) * self.phase
            return out

    report = proved(Complex(), monkeypatch)
    assert report.verified
    assert report.proof is not None
    assert (report.proof.precision, report.proof.tolerance) == ("float64", 1e-9)


def test_without_memory_for_copies_the_models_themselves_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Between(torch.tanh)
    plan = trace(model, x()).plan({"first": [1, 4]})
    monkeypatch.setattr(_verify, "free_bytes", lambda _device: 100.0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = apply(model, plan).report
    assert report.verified
    assert report.proof is not None
    assert report.proof.precision == "float32"
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_model_that_amplifies_rounding_is_judged_by_how_much_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def amplify(y: Tensor) -> Tensor:
        return (torch.tanh(y).float() * 300).sin().to(y.dtype)

    report = proved(Between(amplify), monkeypatch)
    assert report.verified
    assert report.proof is not None
    assert report.error is not None
    assert report.error <= report.proof.tolerance <= 0.05


def test_an_example_that_the_model_does_not_take_is_refused() -> None:
    model = Between(torch.tanh)
    plan = trace(model, x()).plan({"first": [1]})
    with pytest.raises(SecateursError, match=r"the dense model: wanted a model that runs on the example, got .*Call"):
        apply(model, plan, example=torch.ones(3, 7))


# ---------------------------------------------------------------------- weights without values


def on_meta() -> nn.Module:
    """Weights that have shapes only."""
    with torch.device("meta"):
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))


def test_weights_on_the_meta_device_are_traced_counted_and_cut(tmp_path: Path) -> None:
    model = on_meta()
    graph = trace(model, x())
    assert graph.cost().params == 92
    plan = select(graph, criteria.Random()(graph), remove={"params": 0.3})
    with pytest.raises(SecateursError, match=r"0\.weight: wanted weights with values, got a meta tensor\. Load"):
        criteria.Magnitude()(graph)
    missing = r"0\.weight: wanted values to prove the cut on, got a tensor on the meta device.* Pass verify=False"
    with pytest.raises(SecateursError, match=missing):
        apply(model, plan)
    with pytest.raises(SecateursError, match=missing):
        prune(model, x(), remove={"params": 0.3}, criterion="random")
    result = apply(model, plan, verify=False)
    assert {parameter.device.type for parameter in result.model.parameters()} == {"meta"}
    assert sum(parameter.numel() for parameter in result.model.parameters()) == plan.cost.params
    plan.save(tmp_path / "plan.json")
    real = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    assert apply(real, Plan.load(tmp_path / "plan.json")).report.verified


def test_meta_weights_cannot_be_saved_but_loaded_into(tmp_path: Path) -> None:
    with pytest.raises(SecateursError, match=r"0\.weight: wanted values to save, got a tensor on the meta device"):
        save(on_meta(), tmp_path / "meta.safetensors")
    real = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    result = prune(real, x(), remove={"params": 0.3})
    save(result, tmp_path / "small.safetensors")
    loaded = load(tmp_path / "small.safetensors", on_meta)
    assert torch.equal(loaded(x()), result.model(x()))
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_buffers_that_no_file_holds_need_a_factory_that_makes_them(tmp_path: Path) -> None:
    class Table(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
            self.register_buffer("table", torch.ones(3), persistent=False)

    save(prune(Table(), x(), remove={"params": 0.3}), tmp_path / "small.safetensors")

    def factory() -> nn.Module:
        with torch.device("meta"):
            return Table()

    with pytest.raises(SecateursError, match=r"table: wanted values, got a buffer on the meta device"):
        load(tmp_path / "small.safetensors", factory)


def test_an_example_on_the_meta_device_is_made_anew() -> None:
    model = Between(torch.tanh)
    assert apply(model, trace(model, x().to("meta")).plan({"first": [1]})).report.verified


# ---------------------------------------------------------------------- examples from files


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        (torch.tensor([[5, 9, 7], [9, 5, 6]]), 5, 9),
        (torch.arange(12).reshape(1, 12), 0, 11),
        (torch.tensor([7, 4, 2]), 2, 7),
        (torch.tensor([[1, 1, 1, 0]]), 0, 1),
        (torch.tensor([[True, False, True, True]]), 0, 1),
        (torch.tensor(3), 3, 3),
        (torch.tensor([[True, True]]), 1, 1),
        (torch.tensor([3, -2, 5], dtype=torch.int16), -2, 5),
        (torch.tensor([250, 3], dtype=torch.uint8), 3, 250),
    ],
)
def test_integers_are_rebuilt_within_their_range(given: Tensor, low: int, high: int) -> None:
    (again,), _ = rebuild_inputs(describe_inputs((given,), {}))
    assert (again.shape, again.dtype) == (given.shape, given.dtype)
    assert int(again.min()) >= low
    assert int(again.max()) <= high
    if given.dim() and given.dtype != torch.bool:
        steps, wanted = again.long().diff(dim=-1), given.long().diff(dim=-1)
        assert not (wanted >= 0).all() or (steps >= 0).all()
        assert not (wanted <= 0).all() or (steps <= 0).all()


def test_positions_come_back_exactly_and_no_row_of_a_mask_is_empty() -> None:
    positions, mask = torch.arange(7).expand(2, 7), torch.tensor([[1, 0, 0], [1, 1, 1]])
    (positions_again, mask_again), _ = rebuild_inputs(describe_inputs((positions, mask), {}))
    assert torch.equal(positions_again, positions)
    assert (mask_again.sum(-1) > 0).all()


class Embedded(nn.Module):
    """Tokens in a vocabulary of ten."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.first, self.last = nn.Embedding(10, 6), nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.last(F.relu(self.first(self.table(ids))))
        return out


def test_a_plan_from_a_file_is_proved_on_tokens_of_the_vocabulary(tmp_path: Path) -> None:
    model, ids = Embedded(), torch.tensor([[1, 9, 4, 3]])
    trace(model, ids).plan({"first": [2, 5]}).save(tmp_path / "plan.json")
    plan = Plan.load(tmp_path / "plan.json")
    (again,), _ = rebuild_inputs(plan.inputs)
    assert len(set(again.flatten().tolist())) > 1
    assert apply(model, plan).report.verified


def test_arguments_that_no_file_holds_are_given_again(tmp_path: Path) -> None:
    class Holder:
        def __init__(self, value: Tensor) -> None:
            self.value = value

    class Reading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Between(torch.tanh)

        def forward(self, holder: Holder) -> Any:
            return self.inner(holder.value)

    model, holder = Reading(), Holder(x())
    trace(model, (holder,)).plan({"inner.first": [1]}).save(tmp_path / "plan.json")
    plan = Plan.load(tmp_path / "plan.json")
    with pytest.raises(SecateursError, match=r"plan inputs: .*class Holder.* Pass example"):
        apply(model, plan)
    assert apply(model, plan, example=(holder,)).report.verified
    with masked(model, plan, example=(holder,)) as dense:
        assert dense(holder).shape == (3, 4)


def test_free_outputs_are_proved_too(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5))
    plan = trace(model, x(), free_outputs=True).plan({"2": [0, 3], "0": [1]})
    result = apply(model, plan)
    assert result.report.verified
    assert result.model(x()).shape == (3, 3)
    plan.save(tmp_path / "plan.json")
    assert apply(model, Plan.load(tmp_path / "plan.json")).report.verified
