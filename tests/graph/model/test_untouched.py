"""What a run changes, and what is put back: states of random generators, contents of attributes; runs for real."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import SecateursError
from secateurs.graph import Graph, trace, untouched
from secateurs.surgery import apply


class Layers(nn.Module):
    """Two layers, with something of its own in between."""

    def __init__(self, between: Callable[["Layers", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.last, self.between = nn.Linear(6, 8), nn.Linear(8, 4), between

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.between(self, F.relu(self.first(x))))
        return out


def x() -> Tensor:
    """An input with ones and zeros."""
    return torch.arange(12.0).reshape(2, 6) % 3


# ---------------------------------------------------------------------- code that depends on values


def _masked(self: Layers, y: Tensor) -> Tensor:
    keep = y.sum(1) > -1e9
    return y[keep]


def _nonzero(self: Layers, y: Tensor) -> Tensor:
    return y.index_select(0, (y.sum(1) > -1e9).nonzero().squeeze(1))


def _rows(self: Layers, y: Tensor) -> Tensor:
    return torch.stack([row for row, total in zip(y, y.sum(1).tolist(), strict=True) if total > -1e9])


DEPENDENT: dict[str, Callable[[Layers, Tensor], Tensor]] = {
    "item": lambda self, y: y * min(1.0, 1.0 + abs(y.mean().item())),
    "float": lambda self, y: y * float(y.abs().max() >= 0),
    "if": lambda self, y: y if y.sum() > -1e9 else -y,
    "while": lambda self, y: y if (y.abs().amax() < 1e9).all() else -y,
    "a boolean mask": _masked,
    "nonzero": _nonzero,
    "tolist": _rows,
    "numpy": lambda self, y: y * float(np.sign(np.abs(y.detach().numpy()).max() + 1)),
    "unique": lambda self, y: y * len(torch.unique(y)).__pow__(0),
}


@pytest.mark.parametrize("how", DEPENDENT)
def test_code_that_depends_on_values_is_run_for_real(how: str) -> None:
    """Whatever it may find about the axis, it says that it ran for real, and a cut that it offers is right."""
    model = Layers(DEPENDENT[how])
    graph = trace(model, x())
    (note,) = graph.notes
    assert note.startswith("the model ran for real, other values may take another path: ")
    assert str(graph).endswith(f"\nnote: {note}")
    for axis in graph.axes:
        assert apply(model, graph.plan({axis.name: [1, 4]})).report.verified
    assert graph.axes or "first.weight" in {entry.path for entry in graph.fixed}


def test_nothing_is_noted_where_nothing_ran() -> None:
    graph = trace(Layers(lambda self, y: y), x())
    assert graph.notes == ()
    assert "note:" not in str(graph)


def test_code_that_depends_on_values_needs_weights() -> None:
    model = Layers(DEPENDENT["if"]).to("meta")
    wanted = r"Layers: wanted code that runs on shapes alone, as the weights are on the meta device, got .*meta tensors"
    with pytest.raises(SecateursError, match=wanted):
        trace(model, x())
    with pytest.raises(
        SecateursError, match=r"Layers, module first: wanted code that runs on shapes alone.*got RuntimeError"
    ):
        trace(Layers(lambda self, y: y).to("meta"), torch.ones(2, 7))


# ---------------------------------------------------------------------- what is put back


class Counter:
    """An object that changes itself."""

    def __init__(self) -> None:
        self.calls, self.seen = 0, [torch.zeros(1)]
        self.last: Tensor | None = None
        self.me = self

    def count(self, y: Tensor) -> None:
        """One more."""
        self.calls += 1
        self.seen.append(y)
        self.seen[0].add_(1)
        self.last = y


def _everything(self: Layers, y: Tensor) -> Tensor:
    held: Any = self
    held.counter.count(y)
    held.table.add_(1)
    held.cache["new"] = y
    held.cache["rows"][0].mul_(2)
    held.names.add("new")
    numbers = random.random() + np.random.rand() + held.generator.random() + held.numbers.random()
    out: Tensor = y + numbers + torch.rand(1) + torch.rand(1, generator=held.drawn)
    return out


def _holding() -> Layers:
    model: Any = Layers(_everything)
    model.counter, model.table, model.names = Counter(), torch.zeros(3), {"old"}
    model.cache = {"rows": (torch.ones(2),)}
    model.generator, model.numbers = random.Random(1), np.random.default_rng(1)
    model.drawn = torch.Generator().manual_seed(1)
    holding: Layers = model
    return holding


def _state(model: Any) -> list[Any]:
    tensors = [model.counter.seen[0], model.table, model.cache["rows"][0]]
    return [
        vars(model.counter).keys(),
        model.counter.calls,
        model.counter.last,
        len(model.counter.seen),
        [(id(tensor), tensor.tolist()) for tensor in tensors],
        list(model.cache),
        set(model.names),
        model.generator.getstate(),
        model.numbers.bit_generator.state,
        model.drawn.get_state().tolist(),
        random.getstate(),
        np.random.get_state()[1].tolist(),  # type: ignore[index]
        torch.get_rng_state().tolist(),
    ]


def test_contents_and_random_states_come_back() -> None:
    model = _holding()
    before = _state(model)
    with untouched(model):
        model(x())
        counter: Any = model.counter
        assert counter.calls == 1
    assert _state(model) == before
    graph = trace(model, x())
    assert _state(model) == before
    assert apply(model, graph.plan({"first": [0, 3]})).report.verified
    assert _state(model) == before
    with pytest.raises(RuntimeError, match="shapes"), untouched(model):
        model(torch.ones(2, 7))
    assert _state(model) == before


def test_a_module_keeps_what_its_owner_changes_meanwhile_elsewhere() -> None:
    """Only what the model holds is put back."""
    model, elsewhere = _holding(), Counter()
    with untouched(model):
        elsewhere.count(x())
    assert elsewhere.calls == 1


def _tables(self: Layers, y: Tensor) -> Tensor:
    held: Any = self
    held.shared.add_(1)
    out: Tensor = y + held.shared[:1]
    return out


def test_a_plain_tensor_written_to_in_a_real_run_has_its_values_again() -> None:
    model: Any = Layers(lambda self, y: _tables(self, y) if y.sum() > -1e9 else y)
    model.shared = torch.zeros(2)
    model.view = model.shared[1:]
    graph: Graph = trace(model, x())
    assert graph.notes
    assert model.shared.tolist() == [0, 0]
    assert model.view.tolist() == [0]
    model.shared.fill_(3)
    assert model.view.tolist() == [3]


def test_hooks_of_the_user_run_and_stay() -> None:
    model, seen = Layers(lambda self, y: y), []
    handle = model.first.register_forward_hook(lambda *_args: seen.append(1))
    trace(model, x())
    assert seen
    assert list(model.first._forward_hooks) == [handle.id]


@pytest.mark.parametrize("training", [(True, False, True), (False, True, False), (True, True, True)])
def test_flags_of_every_module_come_back(training: tuple[bool, ...]) -> None:
    model = Layers(lambda self, y: F.dropout(y, 0.5, self.training))
    modules = list(model.modules())
    for module, flag in zip(modules, training, strict=True):
        module.training = flag
    graph = trace(model, x())
    result = apply(model, graph.plan({"first": [0, 3]}))
    assert result.report.verified
    assert tuple(module.training for module in modules) == training
    assert tuple(module.training for module in result.model.modules()) == training


def test_frozen_and_half_frozen_models_are_cut_and_stay_frozen() -> None:
    for frozen in (["first.weight"], ["first.weight", "first.bias", "last.weight", "last.bias"]):
        model = Layers(lambda self, y: y)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name not in frozen)
        result = apply(model, trace(model, x()).plan({"first": [0, 3]}))
        assert result.report.verified
        assert [name for name, p in result.model.named_parameters() if not p.requires_grad] == frozen
