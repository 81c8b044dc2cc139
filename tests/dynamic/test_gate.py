"""Gates in networks: what is computed for whom, against one image at a time, and what stays an ordinary network."""

import copy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import secateurs as sec
from secateurs import ConfigError, GraphError, PlanError, VerifyError, models
from secateurs.dynamic import (
    GATES,
    HEADS,
    Given,
    HeadKind,
    Thresholded,
    Watched,
    computing_all,
    deciding,
    gate,
    gates_of,
)
from secateurs.dynamic._heads import Recurrent
from secateurs.surgery._cut import cut_model
from tests.dynamic._nets import gated, images, randomised

assert_exact = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-9)


class Convolutions(TorchDispatchMode):
    """How many are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += "convolution" in str(func)
        return func(*args, **kwargs or {})


def cores(model: nn.Module) -> set[int]:
    """The recurrent cores that its gates use."""
    heads = [gate.head for gate in gates_of(model).values()]
    return {id(head.shared) for head in heads if isinstance(head, Recurrent)}


def looped(model: nn.Module, x: Tensor, decisions: Tensor) -> Tensor:
    """The plain meaning: one image after the other, block after block, by hand."""
    blocks, gates = dict(model.named_modules()), gates_of(model)
    rows = []
    for number, image in enumerate(x):
        stream = torch.relu(blocks["bn1"](blocks["conv1"](image[None])))
        for path in [path for path, block in blocks.items() if type(block).__name__ == "BasicBlock"]:
            block = blocks[path]
            assert isinstance(block.shortcut, nn.Module)
            if path in gates and not decisions[gates[path].number, number]:
                stream = torch.relu(block.shortcut(stream))
            else:
                stream = type(block).forward(block, stream)
        rows.append(blocks["linear"](stream.mean((2, 3))))
    return torch.cat(rows)


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize("head", HEADS)
@torch.no_grad()
def test_divided_batches_give_what_images_give_one_by_one(head: HeadKind, shortcut: str) -> None:
    model, x = gated(head, shortcut=shortcut).double(), images(12).double()
    watched = Watched(Thresholded())
    with deciding(model, watched):
        together = model(x)
    decisions = torch.stack(watched.masks).bool()
    assert 0.1 < decisions.double().mean() < 0.9
    assert len(decisions.T.unique(dim=0)) > 1, "images that all go the same way prove little"
    assert_exact(together, looped(model, x, decisions))
    assert_exact(together, torch.cat([model(image[None]) for image in x]))
    with computing_all(model):
        assert_exact(together, model(x))


@pytest.mark.parametrize("shortcut", ["A", "B"])
@torch.no_grad()
def test_any_given_decisions_are_followed(shortcut: str) -> None:
    model, x = gated(shortcut=shortcut).double(), images(9).double()
    decisions = torch.rand(8, 9, generator=torch.Generator().manual_seed(5)) < 0.5
    with deciding(model, Given(decisions)):
        assert_exact(model(x), looped(model, x, decisions))


@pytest.mark.parametrize("head", HEADS)
@torch.no_grad()
def test_with_all_blocks_on_it_is_the_network_without_gates(head: HeadKind) -> None:
    plain = randomised(models.build("resnet8", width=0.25))
    model, x = gate(plain, (images(1),), head=head, seed=0), images(4)
    torch.testing.assert_close(model(x), plain(x), rtol=0, atol=0)  # gates lean towards running at first
    for whole in (False, True):
        with deciding(model, Given(torch.ones(2, 1))):
            model.train(whole)
            plain.train(whole)
            torch.testing.assert_close(model(x), plain(x), rtol=0, atol=0)


@torch.no_grad()
def test_skipped_blocks_are_not_computed() -> None:
    model, x = gated(), images(8)
    blocks = {path: model.get_submodule(path) for path in gates_of(model)}
    seen: dict[str, int] = {}
    for path, block in blocks.items():
        convolution = block.get_submodule("conv1")
        convolution.register_forward_hook(lambda _m, args, _o, path=path: seen.update({path: len(args[0])}))
    decisions = torch.rand(len(blocks), 8, generator=torch.Generator().manual_seed(0)) < 0.4
    decisions[2], decisions[3] = False, True
    with deciding(model, Given(decisions)):
        model(x)
    assert seen == {path: n for path, n in zip(blocks, decisions.sum(1).tolist(), strict=True) if n}
    for run, count in ((1, 1 + 2 * 9 + 2), (0, 1 + 2 + 2)):
        with deciding(model, Given([[run]] * 8)), Convolutions() as counter:
            model(x[:1])
        assert counter.count == count, "one stem, two in each block, two projections"


@torch.no_grad()
def test_orders_of_memory_stay() -> None:
    model = gated().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = images(6).contiguous(memory_format=torch.channels_last)
    ends = []
    model.get_submodule("layer3.2").register_forward_hook(lambda _m, _a, output: ends.append(output))
    decisions = torch.rand(8, 6, generator=torch.Generator().manual_seed(2)) < 0.5
    with deciding(model, Given(decisions)):
        model(x)
    assert ends[0].is_contiguous(memory_format=torch.channels_last)


def test_gradients_reach_what_was_run_in_evaluation_mode_too() -> None:
    model, x = gated().double(), images(6).double()
    decisions = torch.rand(8, 6, generator=torch.Generator().manual_seed(2)) < 0.5
    found = []
    for whole in (False, True):
        model.zero_grad()
        with deciding(model, Given(decisions)):
            if whole:
                with computing_all(model):
                    model(x).square().sum().backward()
            else:
                model(x).square().sum().backward()
        found.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    assert found[0]
    for path, gradient in found[0].items():
        assert_exact(gradient, found[1][path])


@pytest.mark.parametrize("head", HEADS)
def test_gates_are_traced_as_always_on_and_cut_with_the_stream(head: HeadKind) -> None:
    model, x = gated(head), images(4)
    graph = sec.trace(model, (x[:1],))
    assert not graph.notes
    assert not graph.cost().uncounted.get("nonzero")
    members = {member.path for axis in graph.axes if axis.name == "conv1" for member in axis.members}
    assert any("skip_gate" in path for path in members)
    plan = sec.select(graph, sec.criteria.Magnitude()(graph), {"macs": 0.5}, protect=[GATES], scope="layerwise")
    result = sec.apply(model, plan)
    assert result.report.verified
    assert not [name for name in plan.removed if "skip_gate" in name and plan.removed[name]]
    assert result.model(x).shape == (4, 10)
    assert sec.cost(model, (x[:1],)).macs > 1.9 * sec.cost(result.model, (x[:1],)).macs


def test_a_proof_looks_into_blocks_that_the_example_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = gated(), images(1)
    with torch.no_grad():
        model.get_submodule("layer1.1.skip_gate.head.core.choice").get_parameter("bias").sub_(100)  # none runs
    plan = sec.trace(model, (x,)).plan({"layer2.1.conv1": [0]})
    sec.apply(model, plan, example=(x,))

    def wrong(cut: nn.Module, plan: sec.Plan) -> None:
        cut_model(cut, plan)
        with torch.no_grad():
            cut.get_submodule("layer2.1.conv2").get_parameter("weight").add_(1)

    monkeypatch.setattr("secateurs.surgery._apply.cut_model", wrong)
    with pytest.raises(VerifyError, match="relative difference"):
        sec.apply(model, plan, example=(x,))


def test_cut_and_gated_in_any_order_is_saved_and_loaded(tmp_path: Path) -> None:
    x = images(6)

    def factory() -> nn.Module:
        return models.build("resnet8", width=0.5)

    torch.manual_seed(1)
    model = sec.prune(randomised(factory()), (x,), remove={"params": 0.3}, kinds=["channel"]).model
    model = gate(model, (x,), head="ff1", bias=0.0, seed=4)
    model = sec.prune(model, (x,), remove={"params": 0.3}, scope="layerwise").model.eval()
    sec.save(model, tmp_path / "a.safetensors")
    again = sec.load(tmp_path / "a.safetensors", factory).eval()
    with torch.no_grad():
        torch.testing.assert_close(again(x), model(x), rtol=0, atol=0)
    assert list(gates_of(again)) == list(gates_of(model)) == ["layer2.0", "layer3.0"]
    with torch.device("meta"):
        empty = factory()
    with torch.no_grad():
        torch.testing.assert_close(sec.load(tmp_path / "a.safetensors", lambda: empty).eval()(x), model(x))


def test_gating_is_reproducible_and_leaves_the_model_as_it_was() -> None:
    plain = randomised(models.build("resnet8", width=0.25))
    before, state = {k: v.clone() for k, v in plain.state_dict().items()}, torch.get_rng_state()
    first, second = (gate(plain, (images(1),), seed=7) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    assert plain.state_dict().keys() == before.keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in plain.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert sum("core" in name for name, _ in first.named_parameters(remove_duplicate=False)) == 6


def test_copies_have_a_route_of_their_own() -> None:
    model = gated()
    other = copy.deepcopy(model)
    with deciding(other, Given(torch.zeros(8, 1))), torch.no_grad():
        assert not torch.equal(model(images(2)), other(images(2)))
    assert len(cores(other)) == 1
    assert cores(other).isdisjoint(cores(model))


def test_mistakes_are_told() -> None:
    model, x = gated(), images(1)
    with pytest.raises(PlanError, match="one with a gate"):
        gate(model, (x,))
    with pytest.raises(ConfigError, match="rnn, ff1, ff2"):
        gate(models.build("resnet8"), (x,), head="lstm")  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="gate 0 first"):
        model.get_submodule("layer2")(torch.randn(1, 4, 8, 8))
    with pytest.raises(GraphError, match="without"), deciding(models.build("resnet8"), Thresholded()):
        pass
    with pytest.raises(GraphError, match="none that is called once"):
        gate(models.build("conv2"), (images(1, 32),))
