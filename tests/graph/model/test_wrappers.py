"""Models in wrappers, and models that cannot be read."""

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
from torch import Tensor, nn
from torch._C._distributed_c10d import HashStore
from torch.distributed.device_mesh import init_device_mesh

from secateurs import SecateursError, WrapperWarning, load, masked, prune, save
from secateurs.graph import trace, unwrapped
from secateurs.surgery import apply


def plain() -> nn.Sequential:
    """Two layers."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))


def compiled() -> nn.Module:
    """By a backend that needs no compiler for C."""
    module: Any = torch.compile(plain(), backend="eager")
    assert isinstance(module, nn.Module)
    return module


@pytest.fixture
def process_group() -> Iterator[None]:
    """One process."""
    store = HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def check(wrapper: nn.Module, path: Path) -> None:
    """Traced with a word, cut to a plain module, masked, saved and loaded."""
    x, name = torch.randn(3, 6), type(wrapper).__name__
    with pytest.warns(WrapperWarning, match=rf"{name}: the Sequential in it is traced and cut; wrap the result again"):
        graph = trace(wrapper, x)
    assert graph.model is unwrapped(wrapper)
    assert {axis.name: axis.size for axis in graph.axes} == {"0": 8}
    plan = graph.plan({"0": [1, 5]})
    with warnings.catch_warnings():
        warnings.simplefilter("error", WrapperWarning)  # said once
        result = apply(wrapper, plan)
        with masked(wrapper, plan) as dense:
            expected = dense(x)
    assert result.report.verified
    assert type(result.model) is nn.Sequential
    assert torch.allclose(result.model(x), expected, atol=1e-6)
    save(result, path)
    assert torch.equal(load(path, plain)(x), result.model(x))
    inner = apply(wrapper, plan, inplace=True).model
    assert inner is unwrapped(wrapper)
    save(wrapper, path)
    assert torch.equal(load(path, plain)(x), inner(x))


def test_compiled_models_are_looked_through(tmp_path: Path) -> None:
    wrapper = compiled()
    wrapper(torch.randn(3, 6))
    check(wrapper, tmp_path / "model.safetensors")
    assert wrapper(torch.randn(3, 6)).shape == (3, 4)


def test_data_parallel_models_are_looked_through(tmp_path: Path) -> None:
    check(nn.DataParallel(plain()), tmp_path / "model.safetensors")


def test_distributed_models_are_looked_through(tmp_path: Path, process_group: None) -> None:
    check(nn.parallel.DistributedDataParallel(plain()), tmp_path / "model.safetensors")


def test_wrappers_in_wrappers() -> None:
    with pytest.warns(WrapperWarning):
        result = prune(nn.DataParallel(compiled()), torch.randn(3, 6), remove={"params": 0.3}, criterion="random")
    assert type(result.model) is nn.Sequential


class Partly(nn.Module):
    """Compiled in three ways inside."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.compile(nn.Linear(6, 8), backend="eager")
        self.second, self.last = nn.Linear(8, 7), nn.Linear(7, 4)
        self.second.compile(backend="eager")
        self.act = torch.compile(torch.nn.functional.silu, backend="eager")

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.act(self.second(self.first(x))))
        return out


@pytest.mark.parametrize("warm", [False, True])
def test_compiled_parts_are_traced_and_cut(warm: bool) -> None:
    model, x = Partly(), torch.randn(3, 6)
    if warm:
        model(x)
    graph = trace(model, x)
    assert sorted(axis.size for axis in graph.axes) == [7, 8]
    result = apply(model, graph.plan({axis.name: [0, 3] for axis in graph.axes}))
    assert result.report.verified
    assert result.model(x).shape == (3, 4)
    assert model(x).shape == (3, 4)


# ---------------------------------------------------------------------- refused


def test_quantised_modules_are_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear})
    with pytest.raises(SecateursError, match=r"^0: wanted a module with floating-point weights, got the quantised Lin"):
        trace(quantised, torch.randn(3, 6))


class Packed(Tensor):
    """A tensor class with operators of its own."""

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return func(*[arg.as_subclass(Tensor) if isinstance(arg, Packed) else arg for arg in args], **(kwargs or {}))


def test_tensors_with_operators_of_their_own_are_refused() -> None:
    model = plain()
    model.register_buffer("packed", Tensor._make_subclass(Packed, torch.ones(8, 6)))
    with pytest.raises(SecateursError, match=r"^packed: wanted a plain tensor, got a Packed\. Cut the model first"):
        trace(model, torch.randn(3, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = plain()
        model.register_buffer("table", torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8))
    with pytest.raises(SecateursError, match=r"^table: wanted a plain tensor, got a quantised tensor"):
        trace(model, torch.randn(3, 6))


class Own(nn.Parameter):
    """A parameter class that only has another name."""


def test_parameter_classes_with_plain_contents_are_fine() -> None:
    model = plain()
    model[0].weight = Own(torch.ones(8, 6))
    assert [axis.name for axis in trace(copy.deepcopy(model), torch.randn(3, 6)).axes] == ["0"]


def test_sharded_modules_are_refused(process_group: None) -> None:
    fsdp = pytest.importorskip("torch.distributed.fsdp")
    model = plain()
    try:
        fsdp.fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
    except (RuntimeError, AttributeError, AssertionError) as error:
        pytest.skip(f"no sharding on this machine: {error}")
    with pytest.raises(SecateursError, match=r"wanted a module that holds all of its weights, got a sharded one"):
        trace(model, torch.randn(3, 6))


def test_what_is_not_a_module_is_refused_everywhere() -> None:
    plan = trace(plain(), torch.randn(3, 6)).plan({"0": [1]})
    model: Any = "model"
    with pytest.raises(SecateursError, match=r"^apply: wanted a torch\.nn\.Module, got str"):
        apply(model, plan)
    with pytest.raises(SecateursError, match=r"^masked: wanted a torch\.nn\.Module, got str"), masked(model, plan):
        pass
    with pytest.raises(SecateursError, match=r"^prune: wanted a torch\.nn\.Module, got str"):
        prune(model, torch.randn(3, 6), remove={"params": 0.5})
