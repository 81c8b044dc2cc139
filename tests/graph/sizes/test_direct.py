"""The short way to common operators finds what torch's way finds, and is taken only where nothing hangs on a call."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from secateurs import GraphError
from secateurs.graph import trace
from secateurs.graph._grounds import MetaGround
from secateurs.graph._record import Record
from secateurs.graph._trace import _run
from secateurs.graph.sizes import _layers, _mode
from tests.graph.test_grounds import named, said
from tests.zoo import ZOO


def findings(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Everything that a trace on meta tensors wrote down, as plain values."""
    algebra, record, weights = _run(model, args, kwargs, ground=MetaGround(torch.device("cpu")), free_outputs=False)

    def names(labels: Any) -> list[Any]:
        return [None if label is None else named(algebra, label) for label in labels]

    found = said(algebra, record)
    found["weights"] = {path: names(info.labels) for path, info in weights.items()}
    found["passages"] = [
        (p.path, p.start, p.end, names(p.labels), record.storages[p.storage].born, p.version > 0)
        for p in record.passages
    ]
    found["products"] = [(names([p.label]), p.weight, p.operands, p.operator) for p in record.products]
    found["lives"] = [(s.factor, s.born, s.last) for s in record.storages.values()]
    found["sums"], found["branches"] = names(record.sums), [branch.path for branch in record.branches]
    found["operators"], found["partly"] = record.operators, list(record.partly)
    return found


def without_short_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mode, "DIRECT", {})
    monkeypatch.setattr(_layers, "_LAYERS", {})


@pytest.mark.parametrize("name", ZOO)
def test_the_short_way_finds_what_the_dispatcher_finds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ZOO[name]

    def found() -> Any:
        torch.manual_seed(0)
        try:
            return findings(entry.build(), entry.arguments(2), entry.keywords(2))
        except GraphError as error:
            return str(error)

    short = found()
    without_short_ways(monkeypatch)
    assert short == found()


class Layers(nn.Module):
    """Every layer that has a short way, in the forms that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.planes = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.SiLU(), nn.Dropout(0.1)),
            *(nn.Conv2d(8, 8, (3, 1), stride=(2, 1), groups=4, bias=False), nn.BatchNorm2d(8, affine=False)),
            *(nn.ReLU6(), nn.Hardtanh(), nn.Hardswish(inplace=True), nn.Identity(), nn.Hardsigmoid()),
            *(nn.Conv2d(8, 6, 1, padding="same"), nn.Conv2d(6, 6, 3, padding=1, padding_mode="circular"), nn.GELU()),
        )
        self.rows = nn.ModuleList([nn.Linear(6, 7), nn.LayerNorm(7), nn.GELU("tanh"), nn.Linear(7, 5, bias=False)])
        self.last = nn.ModuleList([nn.Conv1d(5, 4, 2), nn.BatchNorm1d(4, momentum=None), nn.Tanh(), nn.Sigmoid()])

    def forward(self, x: Tensor) -> Tensor:
        x = self.planes(x).flatten(2).transpose(1, 2)
        for row in self.rows:
            x = row(x)
        x = x.transpose(1, 2)
        for layer in self.last:
            x = layer(x)
        y = torch.relu(x) * 2 + x
        y += x
        y *= torch.sigmoid(x)
        return (y * x + 1.5).mean(2)


def test_every_layer_finds_the_same_on_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = Layers().eval(), torch.randn(2, 3, 8, 8)
    short = findings(model, (x,), {})
    without_short_ways(monkeypatch)
    assert short == findings(model, (x,), {})
    assert all("_compiled_call_impl" not in vars(module) for module in model.modules())


class Dispatched(TorchDispatchMode):
    """Counts the operators that torch's dispatcher sees."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


class Functions(TorchFunctionMode):
    """Counts the functions that are called."""

    count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


class Watched(nn.Module):
    """Runs a layer under modes of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)
        self.dispatched, self.functions = 0, 0

    def forward(self, x: Tensor) -> Tensor:
        with Dispatched() as dispatched:
            x = self.first(x)
        with Functions() as functions:
            x = self.last(x)
        counts.append((dispatched.count > 0, functions.count > 0))
        return x


counts: list[tuple[bool, bool]] = []


def test_modes_of_the_model_see_its_calls() -> None:
    counts.clear()
    graph = trace(Watched(), torch.randn(2, 6))
    assert counts == [(True, True)]
    assert [(axis.name, axis.size) for axis in graph.axes] == [("first", 8)]


def test_hooks_and_other_forwards_of_a_layer_run() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 4))
    seen: list[str] = []
    model[0].register_forward_hook(lambda *_given: seen.append("hook"))
    model[2].register_forward_pre_hook(lambda *_given: seen.append("before"))
    model[1].forward = lambda x: seen.append("forward") or -x  # type: ignore[func-returns-value]
    graph = trace(model, torch.randn(2, 6))
    assert seen == ["hook", "forward", "before"]
    assert graph.counts.cost(graph.roots_of({})).uncounted == {"aten.neg": 1}


def test_a_hook_on_all_modules_runs() -> None:
    seen: list[str] = []
    register = nn.modules.module.register_module_forward_hook
    handle = register(lambda module, *_given: seen.append(type(module).__name__))
    try:
        trace(nn.Sequential(nn.Linear(6, 8), nn.ReLU()), torch.randn(2, 6))
    finally:
        handle.remove()
    assert seen == ["Linear", "ReLU", "Sequential"]


class Differentiating(nn.Module):
    """Takes a derivative on its way: forces from an energy."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            energy = self.last(torch.tanh(self.first(x))).sum()
            (forces,) = torch.autograd.grad(energy, x)
        return forces


def test_layers_that_are_differentiated_go_the_way_of_torch() -> None:
    graph = trace(Differentiating(), torch.randn(2, 6))
    assert [(axis.name, axis.size) for axis in graph.axes] == [("first", 8)]


class Mapped(nn.Module):
    """Calls functions under a transform."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        def one(rows: Tensor) -> Tensor:
            return F.linear(torch.relu(F.linear(rows, self.first.weight, self.first.bias)), self.last.weight)

        out: Tensor = torch.vmap(one)(x)
        return out


def test_functions_under_a_transform_go_the_way_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = Mapped(), torch.randn(3, 2, 6)
    short = findings(model, (x,), {})
    without_short_ways(monkeypatch)
    assert short == findings(model, (x,), {})


def test_wrong_sizes_are_refused_with_the_place() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(9, 4, 3))
    with pytest.raises(GraphError, match=r"module 1"):
        trace(model, torch.randn(1, 3, 8, 8))


def test_the_record_of_a_short_call_is_that_of_its_operator() -> None:
    record: Record = _run(
        nn.Sequential(nn.Conv2d(3, 8, 3)),
        (torch.randn(1, 3, 8, 8),),
        {},
        ground=MetaGround(torch.device("cpu")),
        free_outputs=False,
    )[1]
    terms = [(term.where, term.factor, len(term.labels)) for term in record.terms]
    assert terms == [("0", 6 * 6, 1), ("0", 6 * 6 * 9, 2)]  # the sum that is the bias's gradient, and the convolution
    assert [passage.path for passage in record.passages] == ["0", ""]
