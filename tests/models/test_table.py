"""Every network of the table: published sizes, shapes, options, and errors."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from secateurs import models
from secateurs._errors import ConfigError

# Channels of the networks below that nobody prints a count for, written out by hand.
FIRE = ((96, 16, 64), (128, 16, 64), (128, 32, 128), (256, 32, 128), (256, 48, 192), (384, 48, 192), (384, 64, 256))


def fires() -> int:
    """Weights, biases and BatchNorm of the squeezing and of both expanding convolutions of every fire module."""
    return sum(
        squeeze * (before + 3) + expand * (squeeze + 3) + expand * (9 * squeeze + 3)
        for before, squeeze, expand in (*FIRE, (512, 64, 256))
    )


def cifar_resnet(blocks: int, first: int, *, projected: bool, classes: int = 10) -> int:
    """Convolutions without biases, BatchNorm behind each, one linear layer."""
    total, before = 27 * first + 2 * first, first
    for after in (first, 2 * first, 4 * first):
        total += before * after * 9 + (2 * blocks - 1) * after * after * 9 + 2 * blocks * 2 * after
        total += before * after + 2 * after if projected and after > before else 0
        before = after
    return total + classes * (before + 1)


# Published counts (papers, weight files, the repositories that later work cites), independent of TABLE.
PUBLISHED = {
    "mlp": 784 * 300 + 300 + 300 * 100 + 100 + 100 * 10 + 10,
    "fc_head": 3 * 16 * 9 + 16 + 16 * 32 * 9 + 32 + 2048 * 256 + 256 * 128 + 128 * 10,
    "alexnet": 64 * 364 + 192 * (64 * 25 + 1) + 384 * (192 * 9 + 1) + 256 * (384 * 9 + 1) + 256 * (256 * 9 + 1) + 2_570,
    "conv2": 4_300_992,
    "conv4": 2_425_024,
    "conv6": 2_261_184,
    "conv8": 5_275_840,
    "googlenet": 6_166_250,
    "mobilenet_v2": 2_296_922,
    "resnet8": 75_290,
    "resnet9": 6_573_130,
    "resnet18": 11_689_512,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet32x4": cifar_resnet(5, 64, projected=True),
    "resnet38": cifar_resnet(6, 16, projected=False),
    "resnet44": 658_586,
    "resnet50": 25_557_032,
    "resnet56": 853_018,
    "resnet74": cifar_resnet(12, 16, projected=False),
    "resnet110": 1_727_962,
    "squeezenet": 96 * (27 + 3) + fires() + 512 * 10 + 10,
    # Convolutions forth and back, linear layers without biases forth and back, two linear layers to the code.
    "vae28": 272 + 8_224 + 8_208 + 257 + 2 * (1568 * 400 + 400 * 200 + 200 * 20) + 200 * 20,
    "vae64": 1_568 + 32_832 + 32_800 + 1_539 + 2 * (16384 * 2048 + 2048 * 4096 + 4096 * 100) + 4096 * 100,
    "vgg11_bn": 9_231_114,
    "vgg16_bn": 14_728_266,
    "vgg19_bn": 20_040_522,
}
CLASSIFIERS = [name for name in PUBLISHED if not name.startswith("vae")]
# What He et al. print for the CIFAR networks, in millions (table 6).
HE_MILLIONS = {"resnet20": 0.27, "resnet32": 0.46, "resnet44": 0.66, "resnet56": 0.85, "resnet110": 1.7}


def count(name: str, **options: Any) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in models.build(name, **options).parameters())


def test_table_is_complete_and_named_consistently() -> None:
    assert set(models.names()) == set(PUBLISHED)
    for name, entry in models.TABLE.items():
        assert entry.name == name
        assert entry.paper[-4:].isdigit()
        assert len(entry.input_shape) == 3
        assert (entry.objective == "classification") == (name in CLASSIFIERS)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts_are_the_published_ones(name: str) -> None:
    assert count(name) == PUBLISHED[name] == models.TABLE[name].parameters


@pytest.mark.parametrize("name", HE_MILLIONS)
def test_cifar_resnets_agree_with_the_papers_table(name: str) -> None:
    assert round(models.TABLE[name].parameters / 1e6, 2) == pytest.approx(HE_MILLIONS[name], abs=0.035)


@pytest.mark.parametrize(("name", "parameters"), [("resnet8", 78_042), ("resnet20", 272_474), ("resnet56", 855_770)])
def test_projection_shortcuts_have_their_published_counts(name: str, parameters: int) -> None:
    assert count(name, shortcut="B") == parameters


@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet20", 269_722), ("resnet56", 853_018), ("resnet110", 1_727_962)]
)
def test_counting_by_hand_gives_the_published_counts(name: str, parameters: int) -> None:
    blocks = (int(name.removeprefix("resnet")) - 2) // 6
    assert cifar_resnet(blocks, 16, projected=False) == parameters
    assert count(name, shortcut="B") == cifar_resnet(blocks, 16, projected=True)


def test_mobilenet_without_projections_has_the_paper_networks_count() -> None:
    """3,504,872 with 1000 classes, as in the weights published for 224x224 images."""
    assert count("mobilenet_v2", shortcut="identity", classes=1000) == 3_504_872


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_forward_gives_one_logit_per_class_and_uses_every_parameter(name: str) -> None:
    entry = models.TABLE[name]
    small: dict[str, Any] = {"width": 0.125} if "width" in entry.options else {}
    torch.manual_seed(0)
    model = models.build(name, classes=7, **small)
    channels, height, width = entry.input_shape
    logits = model(torch.randn(2, channels, min(height, 64), min(width, 64)))
    assert logits.shape == (2, 7)
    logits.square().sum().backward()
    unused = [path for path, parameter in model.named_parameters() if parameter.grad is None]
    assert unused == []


@pytest.mark.parametrize("name", PUBLISHED)
def test_default_options_of_the_table_are_those_of_the_builder(name: str) -> None:
    assert count(name, **models.TABLE[name].options) == PUBLISHED[name]


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name not in ("mlp", "fc_head")])
def test_width_scales_parameters_about_quadratically(name: str) -> None:
    half = count(name, width=0.5 * models.TABLE[name].options["width"], classes=10)
    assert 0.22 < half / count(name, classes=10) < 0.33


@pytest.mark.parametrize("name", ["resnet8", "resnet9", "resnet18", "mobilenet_v2", "squeezenet", "googlenet"])
def test_fully_convolutional_networks_take_other_sizes_and_one_channel(name: str) -> None:
    model = models.build(name, channels=1, classes=10, width=0.25).eval()
    assert model(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_sized_networks_follow_the_size_option() -> None:
    assert models.build("mlp", size=8, channels=3, widths=())(torch.zeros(2, 3, 8, 8)).shape == (2, 10)
    assert models.build("conv6", size=8, width=0.1)(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


def test_imagenet_names_are_those_of_published_weights() -> None:
    with torch.device("meta"):
        basic, bottleneck = (set(models.build(name).state_dict()) for name in ("resnet18", "resnet50"))
    assert len(basic) == 122
    assert len(bottleneck) == 320
    common = {
        "conv1.weight",
        "bn1.running_var",
        "layer4.1.bn2.bias",
        "layer2.0.downsample.0.weight",
        "fc.bias",
    }
    assert common <= basic
    assert common | {"layer1.0.downsample.1.running_mean", "layer3.5.conv3.weight"} <= bottleneck
    assert "layer1.0.downsample.0.weight" not in basic


def test_bottleneck_strides_in_its_3x3_convolution() -> None:
    with torch.device("meta"):
        block: Any = models.build("resnet50").get_submodule("layer2.0")
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))


def test_pad_shortcut_reads_its_attributes_at_each_call() -> None:
    shortcut = models.PadShortcut(before=1, after=2)
    x = torch.arange(2 * 25, dtype=torch.float32).reshape(1, 2, 5, 5)
    out = shortcut(x)
    assert out.shape == (1, 5, 3, 3)
    torch.testing.assert_close(out[:, 1:3], x[:, :, ::2, ::2])
    assert out[:, [0, 3, 4]].abs().sum() == 0
    shortcut.before, shortcut.after = 0, 1
    assert shortcut(x).shape == (1, 3, 3, 3)


def test_option_a_pads_half_of_the_new_channels_on_either_side() -> None:
    model = models.build("resnet8")
    shortcuts = [module for module in model.modules() if isinstance(module, models.PadShortcut)]
    assert [(shortcut.before, shortcut.after) for shortcut in shortcuts] == [(8, 8), (16, 16)]
    projected = models.build("resnet8", shortcut="B")
    assert not any(isinstance(module, models.PadShortcut) for module in projected.modules())
    assert {"layer2.0.shortcut.0.weight", "layer2.0.shortcut.1.bias"} <= set(projected.state_dict())


def test_equal_seeds_give_equal_weights_and_convolutions_start_at_he_variance() -> None:
    torch.manual_seed(3)
    first = models.build("conv4")
    torch.manual_seed(3)
    second = models.build("conv4")
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    conv = first.get_submodule("features.2")
    assert isinstance(conv, nn.Conv2d)
    assert conv.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet21", {}, r"model\.name: wanted one of mlp, .* got 'resnet21'\. Did you mean 'resnet"),
        ("zzzz", {}, r"model\.name: .* got 'zzzz'\. Take one of these names"),
        ("resnet20", {"widht": 2}, r"model\.widht: .* Did you mean 'width'\?"),
        ("resnet20", {"depth": 2}, r"model\.depth: wanted one of classes, channels, width, shortcut"),
        ("resnet20", {"width": 0}, r"model\.width: wanted a positive number, got 0\."),
        ("resnet20", {"width": "big"}, r"model\.width: wanted a positive number, got 'big'"),
        ("resnet20", {"width": float("nan")}, r"model\.width: wanted a positive number, got nan"),
        ("resnet20", {"shortcut": "C"}, r"model\.shortcut: wanted one of A, B, got 'C'"),
        ("resnet20", {"classes": 0}, r"model\.classes: wanted a positive integer, got 0"),
        ("resnet20", {"channels": True}, r"model\.channels: wanted a positive integer, got True"),
        ("mobilenet_v2", {"shortcut": "A"}, r"model\.shortcut: wanted one of projection, identity, got 'A'"),
        ("mlp", {"widths": (300, -1)}, r"model\.widths\.1: wanted a positive integer, got -1"),
        ("mlp", {"widths": 300}, r"model\.widths: wanted a list of positive integers, got 300"),
        ("conv8", {"size": 8}, r"model\.size: wanted at least 16 pixels for 4 poolings, got 8"),
    ],
)
def test_wrong_names_and_values_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        models.build(name, **options)


def test_importing_models_imports_no_torchvision() -> None:
    code = "import sys, secateurs.models; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
