import subprocess
import sys
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import secateurs
from secateurs import models
from secateurs._errors import GraphError
from secateurs.cost import cost
from secateurs.graph import Cost, Plan, trace
from secateurs.surgery import apply
from tests.cost._nets import NETS


def flops(model: nn.Module, x: Tensor, *, train: bool = False) -> int:
    """What torch counts: 2 per multiply-add. It does not see inside the fused operators of the CPU."""
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(train), sdpa_kernel(SDPBackend.MATH):
            output = model.eval()(x)
            if train:
                output.sum().backward()
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    return int(counter.get_total_flops())


# ---------------------------------------------------------------------- multiply-adds


@pytest.mark.parametrize("name", NETS)
def test_multiply_adds_are_those_that_torch_counts(name: str) -> None:
    build, shape = NETS[name]
    model, x = build(), torch.randn(shape)
    assert 2 * cost(model, (x,)).macs == flops(model, x) > 0


def test_a_product_with_a_vector_counts_though_torch_leaves_it_out() -> None:
    class Vector(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x @ x.new_ones(7)

    assert cost(Vector(), (torch.zeros(3, 5, 7),)).macs == 3 * 5 * 7


@pytest.mark.parametrize("name", ["resnet18", "resnet20", "resnet50", "vgg16_bn", "conv4", "resnet9", "mlp"])
def test_reference_networks_cost_what_torch_counts(name: str) -> None:
    with torch.device("meta"):
        model, x = models.build(name), torch.zeros(2, *models.TABLE[name].input_shape)
    counted = cost(model, (x,))
    assert 2 * counted.macs == flops(model, x)
    assert counted.params == models.TABLE[name].parameters
    assert counted.bytes == sum(t.numel() * t.element_size() for t in model.state_dict().values())


@pytest.mark.parametrize(
    ("name", "macs", "params"),
    [
        ("mlp", 784 * 300 + 300 * 100 + 100 * 10, 266_610),
        ("resnet18", 1_814_073_344, 11_689_512),
        ("resnet50", 4_089_184_256, 25_557_032),
    ],
)
def test_published_figures(name: str, macs: int, params: int) -> None:
    with torch.device("meta"):
        counted = cost(models.build(name), torch.zeros(1, *models.TABLE[name].input_shape))
    assert (counted.macs, counted.params) == (macs, params)


# ---------------------------------------------------------------------- training


def _two_layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def _gops(model: nn.Module, x: Tensor) -> float:
    return 1e9 * cost(model, (x,), train=True).train_gops


def test_the_first_layer_needs_no_gradient_of_its_input() -> None:
    forward, backward = 3 * (32 + 16), 3 * (32 + 2 * 16)
    assert _gops(_two_layers(), torch.zeros(3, 4)) == pytest.approx(2 * (forward + backward))


def test_frozen_weights_need_no_gradient() -> None:
    model, x = _two_layers(), torch.zeros(3, 4)
    model[0].requires_grad_(False)
    assert _gops(model, x) == pytest.approx(2 * 3 * (32 + 2 * 16))
    model[0].requires_grad_(True)
    model[2].requires_grad_(False)
    assert _gops(model, x) == pytest.approx(2 * 3 * (2 * 32 + 2 * 16))
    model.requires_grad_(False)
    assert _gops(model, x) == pytest.approx(2 * 3 * (32 + 16))


@pytest.mark.parametrize(
    "name", ["perceptron", "convolution 1d", "convolution 3d", "multi-head attention with weights"]
)
def test_training_costs_what_torch_counts(name: str) -> None:
    build, shape = NETS[name]
    model, x = build(), torch.randn(shape)
    assert _gops(model, x) == pytest.approx(flops(model, x, train=True))


def test_training_a_residual_network_costs_what_torch_counts() -> None:
    model, x = models.build("resnet8", width=0.25), torch.randn(2, 3, 32, 32)
    assert _gops(model, x) == pytest.approx(flops(model, x, train=True))


def test_training_grouped_convolutions() -> None:
    """By hand: torch counts the gradient of a grouped weight as if it had one group."""
    model = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.Conv2d(8, 8, 3, groups=8))
    first, second = 7 * 7 * 8 * 2 * 9, 5 * 5 * 8 * 9
    assert _gops(model, torch.zeros(1, 4, 9, 9)) == pytest.approx(2 * (2 * first + 3 * second))


def test_training_is_counted_only_where_asked_for() -> None:
    assert cost(_two_layers(), (torch.zeros(3, 4),)).train_gops == 0


# ---------------------------------------------------------------------- bytes


def test_bytes_count_buffers_too_and_parameters_do_not() -> None:
    counted = cost(nn.BatchNorm1d(5), (torch.zeros(2, 5),))
    assert counted.params == 10
    assert counted.bytes == 4 * 20 + 8  # the count of batches is an int64


def test_tied_weights_count_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    counted = cost(model, (torch.zeros(1, 4),))
    assert (counted.params, counted.bytes, counted.macs) == (16, 64, 32)


@pytest.mark.parametrize(
    ("dtype", "size"), [(torch.float16, 2), (torch.bfloat16, 2), (torch.float32, 4), (torch.float64, 8)]
)
def test_bytes_follow_the_dtype(dtype: torch.dtype, size: int) -> None:
    counted = cost(nn.Linear(3, 2, dtype=dtype), (torch.zeros(5, 3, dtype=dtype),))
    assert counted.bytes == 8 * size
    assert counted.activation_bytes == (15 + 10) * size


def test_peak_activations_of_a_chain() -> None:
    x, hidden, out = 4 * 3 * 4, 4 * 3 * 8, 4 * 3 * 2
    assert cost(_two_layers(), (torch.zeros(3, 4),)).activation_bytes == x + hidden + hidden  # at the ReLU
    in_place = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
    assert cost(in_place, (torch.zeros(3, 4),)).activation_bytes == x + hidden + out  # at the last layer


class _Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.up(x)
        short = hidden.view(-1, 2, 4).sum(1)
        mixed: Tensor = short + self.down(hidden)
        return mixed


def test_what_is_read_later_stays_alive_and_views_take_no_room() -> None:
    x, hidden, short, long = 4 * 3 * 4, 4 * 3 * 8, 4 * 3 * 4, 4 * 3 * 4
    assert cost(_Skip(), (torch.zeros(3, 4),)).activation_bytes == x + hidden + short + long


# ---------------------------------------------------------------------- what is left out


def test_what_is_not_counted_is_named() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AvgPool2d(2), nn.Flatten(), nn.Softmax(1))
    counted = cost(model, (torch.zeros(1, 3, 8, 8),))
    named = " ".join(counted.uncounted)
    assert all(word in named for word in ("batch_norm", "avg_pool2d", "softmax"))
    assert "convolution" not in named
    assert all(times == 1 for times in counted.uncounted.values())
    assert "not counted:" in str(counted)


def test_an_operator_without_a_rule_is_named_too() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            inverse: Tensor = torch.linalg.inv(x)
            return inverse

    assert any("inv" in name for name in cost(Odd(), (torch.eye(3),)).uncounted)


# ---------------------------------------------------------------------- the call


def test_arguments_come_in_every_form() -> None:
    class Keyed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x: Tensor, *, scale: Tensor) -> Tensor:
            result: Tensor = self.layer(x) * scale
            return result

    x = torch.zeros(2, 4)
    assert cost(Keyed(), (x,), {"scale": torch.ones(3)}).macs == 24
    assert cost(Keyed(), kwargs={"x": x, "scale": torch.ones(3)}).macs == 24
    assert cost(_two_layers(), x) == cost(_two_layers(), (x,))


def test_a_wrong_input_is_refused() -> None:
    with pytest.raises(GraphError, match="a model that runs on the example input"):
        cost(_two_layers(), (torch.zeros(3, 5),))


def test_counting_changes_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()).train()
    x, before, random = torch.randn(2, 3, 5, 5), deepcopy(model.state_dict()), torch.get_rng_state()
    cost(model, (x,), train=True)
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(tensor, before[path]) for path, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_package_offers_the_function_and_the_room_keeps_its_other_names() -> None:
    assert secateurs.cost(_two_layers(), (torch.zeros(3, 4),)).macs == 144
    assert secateurs.cost is cost
    assert callable(secateurs.latency)


@pytest.mark.parametrize("first", ["import secateurs", "import secateurs.cost", "from secateurs.cost import latency"])
def test_the_function_wins_whatever_is_imported_first(first: str) -> None:
    code = f"{first}; import secateurs; from secateurs.cost import latency, latency_pair; from secateurs.cost._latency"
    code += " import Latency; assert secateurs.cost.__name__ == 'cost' and callable(secateurs.cost)"
    code += "; assert callable(latency) and latency is secateurs.latency"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------------- before and after the cut


def _third(model: nn.Module, x: Tensor) -> Plan:
    graph = trace(model, (x,))
    return graph.plan({axis.name: range(axis.size // 3) for axis in graph.axes})


def _without_training(counted: Cost) -> dict[str, Any]:
    return {key: value for key, value in counted.to_json().items() if key != "train_gops"}


@pytest.mark.parametrize("name", ["perceptron", "convolutions", "multi-head attention", "fused attention"])
def test_the_cost_of_a_plan_is_that_of_the_cut_network(name: str) -> None:
    build, shape = NETS[name]
    model, x = build(), torch.randn(shape)
    plan = _third(model, x)
    assert plan.removed
    _check(model, plan, x)


@pytest.mark.parametrize(("name", "options"), [("resnet20", {"width": 0.5}), ("conv2", {"width": 0.5}), ("mlp", {})])
def test_the_cost_of_a_plan_is_that_of_the_cut_reference_network(name: str, options: dict[str, Any]) -> None:
    model, x = models.build(name, **options), torch.randn(2, *models.TABLE[name].input_shape)
    _check(model, _third(model, x), x)


def _check(model: nn.Module, plan: Plan, x: Tensor) -> None:
    small = apply(model, plan, verify=False).model
    counted = cost(small, (x,), train=True)
    assert _without_training(counted) == _without_training(plan.cost)
    assert counted.train_gops == pytest.approx(plan.cost.train_gops)
    assert 2 * plan.cost.macs == flops(small, x)
    assert plan.cost.params == sum(parameter.numel() for parameter in small.parameters())
    assert plan.cost.macs < plan.before.macs
