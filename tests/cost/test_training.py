"""Operations of training: by hand, against hooks on layers, against torch's counter."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from secateurs import models
from secateurs._errors import ConfigError
from secateurs.cost import TrainingCost, cost, design_gops, training_cost
from secateurs.graph import Operations, trace
from secateurs.surgery import apply

DEEP = ("googlenet", "resnet18", "resnet32", "resnet38", "resnet44", "resnet50", "resnet56", "resnet74", "resnet110")
CLASSIFIERS = [
    pytest.param(name, marks=pytest.mark.slow) if name in DEEP else name
    for name, entry in models.TABLE.items()
    if entry.objective == "classification"
]


def empty(name: str, batch: int = 2, **options: Any) -> tuple[nn.Module, Tensor]:
    """A network of the table and images for it, without contents."""
    with torch.device("meta"):
        return models.build(name, **options), torch.zeros(batch, *models.TABLE[name].input_shape)


def by_hooks(model: nn.Module, x: Tensor) -> dict[str, Operations]:
    """The slow reference: what every layer was given and gave, from its shapes alone."""
    found: dict[str, Operations] = {}
    first = list[str]()

    def note(path: str, layer: nn.Conv2d | nn.Linear, out: Tensor) -> None:
        reads = layer.weight[0].numel()  # input channels of a group times the kernel
        products = 2 * out.numel() * reads
        inputs = 0 if not first else products
        first.append(path)
        biases = out.numel() if layer.bias is not None else 0
        found[path] = Operations(forward=products, inputs=inputs, weights=products, biases=biases)

    for path, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(lambda layer, _args, out, path=path: note(path, layer, out))
    model.eval()(x)
    return found


# ---------------------------------------------------------------------- by hand


def test_alexnet_by_hand() -> None:
    """Kernel, input channels, output channels, positions of each layer; the minibatch has three images."""
    rows = {
        "features.0": (11 * 11, 3, 64, 8 * 8),
        "features.3": (5 * 5, 64, 192, 4 * 4),
        "features.6": (3 * 3, 192, 384, 2 * 2),
        "features.8": (3 * 3, 384, 256, 2 * 2),
        "features.10": (3 * 3, 256, 256, 2 * 2),
        "classifier": (1, 256, 100, 1),
    }
    expected = {}
    for path, (kernel, before, after, positions) in rows.items():
        forward = 3 * 2 * kernel * before * after * positions
        inputs = 0 if path == "features.0" else forward
        expected[path] = Operations(forward=forward, inputs=inputs, weights=forward, biases=3 * after * positions)
    counted = training_cost(*empty("alexnet", 3, classes=100))
    assert counted.layers == expected
    assert counted.images == 3
    assert counted.minibatch.forward == 3 * 29_960_192
    assert counted.inference_gops == pytest.approx(0.029_960_192)
    assert counted.minibatch.total == 3 * (3 * 29_960_192 - 2 * 11 * 11 * 3 * 64 * 64 + 10_852)


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_resnet20_by_hand(shortcut: str) -> None:
    """The stem, six 3x3 convolutions a stage, the first of a later stage from half the channels, and 1x1 shortcuts."""
    stem = 2 * 9 * 3 * 16 * 32**2
    stages = 6 * 2 * 9 * 16 * 16 * 32**2
    stages += 2 * 9 * (16 * 32 + 5 * 32 * 32) * 16**2 + 2 * 9 * (32 * 64 + 5 * 64 * 64) * 8**2
    shortcuts = 2 * 16 * 32 * 16**2 + 2 * 32 * 64 * 8**2 if shortcut == "B" else 0
    head = 2 * 64 * 10
    forward = stem + stages + shortcuts + head
    counted = training_cost(*empty("resnet20", 5, shortcut=shortcut))
    assert counted.minibatch == Operations(
        forward=5 * forward, inputs=5 * (forward - stem), weights=5 * forward, biases=5 * 10
    )
    assert counted.layers["conv1"] == Operations(forward=5 * stem, inputs=0, weights=5 * stem, biases=0)


def test_the_published_cost_of_the_wide_resnet() -> None:
    """2.20 GFLOPs (the table that static and dynamic cuts of ResNet-32, four times as wide, are compared in)."""
    assert round(training_cost(*empty("resnet32x4", 1, classes=100)).inference_gops, 2) == 2.20


# ---------------------------------------------------------------------- against other counts


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_network_of_the_table_agrees_with_hooks(name: str) -> None:
    model, x = empty(name)
    counted = training_cost(model, x)
    assert dict(counted.layers) == by_hooks(model, x)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_network_of_the_table_agrees_with_torch(name: str) -> None:
    """Torch leaves biases out; it counts the gradient of a grouped weight as if it had one group."""
    model, x = empty(name)
    counted = training_cost(model, x).minibatch
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(x)
    assert counted.forward == counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    grouped = sum(
        2 * (layer.groups - 1) * layer.weight[0].numel() * channels for layer, channels in grouped_outputs(model, x)
    )
    assert counted.total - counted.biases == counter.get_total_flops() - grouped
    assert (grouped > 0) == (name == "mobilenet_v2")


def grouped_outputs(model: nn.Module, x: Tensor) -> list[tuple[nn.Conv2d, int]]:
    """Convolutions in groups, with the size of what each gives."""
    found: list[tuple[nn.Conv2d, int]] = []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            layer.register_forward_hook(lambda layer, _args, out: found.append((layer, out.numel())))
    with torch.no_grad():
        model(x)
    return found


def test_the_vae_agrees_with_torch() -> None:
    model, x = empty("vae28")
    counted = training_cost(model, x).minibatch
    with FlopCounterMode(display=False) as counter:
        sum(part.sum() for part in model.eval()(x)).backward()
    assert counted.total - counted.biases == counter.get_total_flops()


@pytest.mark.parametrize("name", [*CLASSIFIERS, "vae28"])
def test_the_cost_of_an_image_does_not_depend_on_the_minibatch(name: str) -> None:
    model, x = empty(name, 1)
    one, many = training_cost(model, x), training_cost(model, x.expand(37, *x.shape[1:]))
    assert many.images == 37
    assert many.image_gops == one.image_gops
    assert many.inference_gops == one.inference_gops
    assert all(many.layers[path].total == 37 * layer.total for path, layer in one.layers.items())


def test_the_sum_is_that_of_the_cost_and_the_biases() -> None:
    model, x = empty("squeezenet")
    counted = training_cost(model, x).minibatch
    assert cost(model, x, train=True).train_gops == pytest.approx((counted.total - counted.biases) / 1e9)
    assert cost(model, x).macs == counted.forward / 2


# ---------------------------------------------------------------------- what takes gradients


def test_frozen_layers_take_no_gradients_of_weights_and_pass_none_on() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    layers = training_cost(model, torch.zeros(3, 4)).layers
    assert layers["0"] == Operations(forward=3 * 64, inputs=0, weights=0, biases=0)
    assert layers["2"] == Operations(forward=3 * 32, inputs=0, weights=3 * 32, biases=3 * 2)
    model[0].bias.requires_grad_(True)
    layers = training_cost(model, torch.zeros(3, 4)).layers
    assert layers["0"] == Operations(forward=3 * 64, inputs=0, weights=0, biases=3 * 8)
    assert layers["2"].inputs == 3 * 32


class _Added(nn.Module):
    """A bias, a scale and a residual, all written out."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(4, 4)), nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        hidden = x @ self.weight + self.bias
        return hidden + x * self.bias + (self.bias + self.bias)


def test_parameters_that_are_added_count_where_they_are_added_to_activations() -> None:
    counted = training_cost(_Added(), torch.zeros(3, 4)).layers
    assert counted == {"": Operations(forward=3 * 32, inputs=0, weights=3 * 32, biases=3 * 4)}


def test_weights_that_are_computed_are_weights() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            centred = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return nn.functional.conv2d(x, centred, self.bias)

    counted = training_cost(nn.Sequential(Standardised(2, 3, 1)), torch.zeros(1, 2, 5, 5)).layers
    assert counted["0"] == Operations(forward=2 * 150, inputs=0, weights=2 * 150, biases=75)


def test_products_of_activations_have_two_gradients_of_inputs() -> None:
    class Gram(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            hidden: Tensor = self.layer(x)
            return hidden @ hidden.t()

    layers = training_cost(Gram(), torch.zeros(3, 4)).layers
    assert layers[""] == Operations(forward=2 * 36, inputs=4 * 36, weights=0, biases=0)


@pytest.mark.parametrize("shape", [(3, 16), (2, 5, 16), (2, 3, 5, 16)])
def test_linear_layers_on_sequences_count_every_position(shape: tuple[int, ...]) -> None:
    counted = training_cost(nn.Linear(16, 7), torch.zeros(shape)).minibatch
    rows = torch.zeros(shape).numel() // 16
    assert counted == Operations(forward=2 * rows * 112, inputs=0, weights=2 * rows * 112, biases=7 * rows)


def test_a_recurrent_layer_by_hand() -> None:
    """Four gates read inputs and the state; two biases each."""
    counted = training_cost(nn.LSTM(6, 5, batch_first=True), torch.zeros(2, 3, 6)).minibatch
    own, state = 2 * 2 * 3 * 20 * 6, 2 * 2 * 3 * 20 * 5
    assert (counted.forward, counted.weights, counted.biases) == (own + state, own + state, 2 * 2 * 3 * 20)
    assert counted.inputs == state


# ---------------------------------------------------------------------- cut models


@pytest.mark.parametrize("name", ["alexnet", "mobilenet_v2", "squeezenet"])
def test_the_training_cost_of_a_plan_is_that_of_the_cut_network(name: str) -> None:
    model = models.build(name, width=0.25)
    x = torch.zeros(2, 3, 32, 32)
    graph = trace(model, x)
    plan = graph.plan({axis.name: range(0, axis.size - 1, 3) for axis in graph.axes if axis.kind != "branch"})
    planned = TrainingCost.of(graph, plan)
    assert planned == training_cost(apply(model, plan, verify=False).model, x)
    assert planned.minibatch.total < TrainingCost.of(graph).minibatch.total


# ---------------------------------------------------------------------- what is shown and written


def test_an_epoch_is_as_many_images() -> None:
    counted = training_cost(*empty("alexnet", 4))
    assert counted.epoch_gops(40_000) == pytest.approx(40_000 * counted.minibatch.total / 4e9)


def test_the_table_has_a_line_for_every_layer() -> None:
    *lines, last = str(training_cost(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2)), torch.zeros(3, 4))).splitlines()
    assert [line.split() for line in lines] == [
        ["forward", "inputs", "weights", "biases", "total"],
        ["0", "192", "0", "192", "24", "408"],
        ["1", "96", "96", "96", "6", "294"],
        ["minibatch", "288", "96", "288", "30", "702"],
    ]
    assert last == "operations of 3 images; GOps per image: 9.6e-08 forward, 2.34e-07 forward and backward"


def test_figures_of_a_design() -> None:
    model, x = empty("alexnet", 3)
    design = design_gops(model, x, minibatch=128, epoch_images=40_000)
    image = training_cost(model, x[:1])
    assert design["inference_gops"] == {
        "minibatch": pytest.approx(128 * image.inference_gops),
        "image": image.inference_gops,
    }
    assert design["training_gops"]["minibatch"] == pytest.approx(128 * image.image_gops)
    assert design["training_gops"]["epoch"] == pytest.approx(40_000 * image.image_gops)
    assert sum(design["training_gops"]["parts"].values()) == pytest.approx(image.image_gops)
    assert design["memory_mb"] == {"parameters": 2_472_266 * 4 / 1e6, "activations": pytest.approx(0.045056)}
    assert list(design["layers"]) == list(image.layers)
    assert sum(sum(layer.values()) for layer in design["layers"].values()) == pytest.approx(image.image_gops)


def test_arguments_without_images_are_refused() -> None:
    class Constant(nn.Module):
        def forward(self, x: int) -> Tensor:
            return torch.ones(2) * x

    with pytest.raises(ConfigError, match=r"a tensor with a row for each image, got none"):
        training_cost(Constant(), (3,))
