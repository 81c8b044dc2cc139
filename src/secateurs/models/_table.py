"""The table of reference networks, and `build`, which makes one by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from torch import nn

from secateurs._errors import ConfigError
from secateurs._nearest import nearest_hint
from secateurs.models._alexnet import AlexNet
from secateurs.models._checks import positive_int
from secateurs.models._cifar_resnet import CifarResNet
from secateurs.models._conv import Conv
from secateurs.models._fc_head import FCHead
from secateurs.models._googlenet import GoogLeNet
from secateurs.models._imagenet_resnet import ImageNetResNet, PlainBlock, WideEndBlock
from secateurs.models._mlp import MLP
from secateurs.models._mobilenet import MobileNetV2
from secateurs.models._resnet9 import ResNet9
from secateurs.models._squeezenet import SqueezeNet
from secateurs.models._vae import VAE
from secateurs.models._vgg import VGG

__all__ = ["TABLE", "ModelEntry", "build", "names"]


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One reference network.

    Attributes:
        name: what `build` calls it.
        builder: takes `classes`, `channels` and the options, all by keyword.
        input_shape: (C, H, W) of the images it was published for.
        paper: authors, title, year.
        parameters: the published count, for `classes`, the channels of `input_shape` and default options.
        classes: outputs that the published count is for.
        options: further options of the builder with their defaults.
        objective: what it is trained for: "classification", or "elbo" for a network that encodes and decodes images.
    """

    name: str
    builder: Callable[..., nn.Module]
    input_shape: tuple[int, int, int]
    paper: str
    parameters: int
    classes: int = 10
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({"width": 1.0}))
    objective: Literal["classification", "elbo"] = "classification"


def names() -> tuple[str, ...]:
    """The names that `build` knows."""
    return tuple(TABLE)


def build(name: str, *, classes: int | None = None, channels: int | None = None, **options: Any) -> nn.Module:
    """Make the reference network `name` with fresh weights from torch's global generator.

    Args:
        name: a name from `names()`.
        classes: number of outputs; None for the published number (10, or 1000 for ImageNet networks).
        channels: channels of the input images; None for the published number (3, or 1 for the MLP).
        options: see `TABLE[name].options`.

    Raises:
        ConfigError: the name or an option is unknown (with the nearest right one), or a value makes no sense.

    >>> build("resnet20", classes=100, width=0.5).linear.out_features
    100
    """
    if name not in TABLE:
        raise _unknown("model.name", name, names())
    entry = TABLE[name]
    for option in options:
        if option not in entry.options:
            raise _unknown(f"model.{option}", option, ("classes", "channels", *entry.options))
    return entry.builder(
        classes=entry.classes if classes is None else positive_int("classes", classes),
        channels=entry.input_shape[0] if channels is None else positive_int("channels", channels),
        **options,
    )


def _unknown(where: str, name: str, known: tuple[str, ...]) -> ConfigError:
    cure = nearest_hint(name, known, "Take one of these names.")
    return ConfigError(where, wanted="one of " + ", ".join(known), got=repr(name), cure=cure)


_CIFAR, _IMAGENET = (3, 32, 32), (3, 224, 224)
_ALEXNET = "Krizhevsky: One weird trick for parallelizing convolutional neural networks, 2014"
_GOOGLENET = "Szegedy et al.: Going deeper with convolutions, 2014"
_LENET = "LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998"
_LOTTERY = "Frankle, Carbin: The lottery ticket hypothesis, 2019"
_HIDDEN = "Ramanujan et al.: What's hidden in a randomly weighted neural network?, 2020"
_MOBILENET = "Sandler et al.: MobileNetV2: inverted residuals and linear bottlenecks, 2018"
_RESNET = "He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015"
_PAGE = "Page: How to train your ResNet, 2018"
_SQUEEZENET = "Iandola et al.: SqueezeNet: AlexNet-level accuracy with 50x fewer parameters, 2016"
_VAE = "Kingma, Welling: Auto-encoding variational Bayes, 2013"
_VGG = "Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition, 2014"
_WIDE = "Wang, Grosse, Fidler, Zhang: EigenDamage, structured pruning in the Kronecker-factored eigenbasis, 2019"


def _conv(depth: int, paper: str, parameters: int) -> ModelEntry:
    return ModelEntry(
        name=f"conv{depth}",
        builder=partial(Conv, depth=depth),
        input_shape=_CIFAR,
        paper=paper,
        parameters=parameters,
        options=MappingProxyType({"width": 1.0, "size": 32}),
    )


def _cifar_resnet(depth: int, parameters: int) -> ModelEntry:
    return ModelEntry(
        name=f"resnet{depth}",
        builder=partial(CifarResNet, blocks=(depth - 2) // 6),
        input_shape=_CIFAR,
        paper=_RESNET,
        parameters=parameters,
        options=MappingProxyType({"width": 1.0, "shortcut": "A"}),
    )


def _imagenet_resnet(depth: int, builder: Callable[..., nn.Module], parameters: int) -> ModelEntry:
    return ModelEntry(
        name=f"resnet{depth}",
        builder=builder,
        input_shape=_IMAGENET,
        paper=_RESNET,
        parameters=parameters,
        classes=1000,
    )


def _vgg(depth: int, depths: tuple[int, ...], parameters: int) -> ModelEntry:
    return ModelEntry(
        name=f"vgg{depth}_bn",
        builder=partial(VGG, depths=depths),
        input_shape=_CIFAR,
        paper=_VGG,
        parameters=parameters,
    )


def _vae(size: int, channels: int, parameters: int, **options: Any) -> ModelEntry:
    return ModelEntry(
        name=f"vae{size}",
        builder=partial(VAE, size=size, **options),
        input_shape=(channels, size, size),
        paper=_VAE,
        parameters=parameters,
        options=MappingProxyType({**options, "size": size}),
        objective="elbo",
    )


_ENTRIES = (
    ModelEntry(
        name="mlp",
        builder=MLP,
        input_shape=(1, 28, 28),
        paper=_LENET,
        parameters=266_610,
        options=MappingProxyType({"widths": (300, 100), "size": 28, "bias": True}),
    ),
    ModelEntry(
        name="fc_head",
        builder=FCHead,
        input_shape=_CIFAR,
        paper=_LENET,
        parameters=563_424,
        options=MappingProxyType({"widths": (256, 128), "size": 32}),
    ),
    ModelEntry(name="alexnet", builder=AlexNet, input_shape=_CIFAR, paper=_ALEXNET, parameters=2_472_266),
    _conv(2, _LOTTERY, 4_300_992),
    _conv(4, _LOTTERY, 2_425_024),
    _conv(6, _LOTTERY, 2_261_184),
    _conv(8, _HIDDEN, 5_275_840),
    ModelEntry(name="googlenet", builder=GoogLeNet, input_shape=_CIFAR, paper=_GOOGLENET, parameters=6_166_250),
    ModelEntry(
        name="mobilenet_v2",
        builder=MobileNetV2,
        input_shape=_CIFAR,
        paper=_MOBILENET,
        parameters=2_296_922,
        options=MappingProxyType({"width": 1.0, "shortcut": "projection"}),
    ),
    _cifar_resnet(8, 75_290),
    ModelEntry(name="resnet9", builder=ResNet9, input_shape=_CIFAR, paper=_PAGE, parameters=6_573_130),
    _imagenet_resnet(18, partial(ImageNetResNet, block=PlainBlock, depths=(2, 2, 2, 2)), 11_689_512),
    _cifar_resnet(20, 269_722),
    _cifar_resnet(32, 464_154),
    ModelEntry(
        name="resnet32x4",
        builder=partial(CifarResNet, blocks=5, width=4.0, shortcut="B"),
        input_shape=_CIFAR,
        paper=_WIDE,
        parameters=7_427_914,
        options=MappingProxyType({"width": 4.0, "shortcut": "B"}),
    ),
    _cifar_resnet(38, 561_370),
    _cifar_resnet(44, 658_586),
    _imagenet_resnet(50, partial(ImageNetResNet, block=WideEndBlock, depths=(3, 4, 6, 3)), 25_557_032),
    _cifar_resnet(56, 853_018),
    _cifar_resnet(74, 1_144_666),
    _cifar_resnet(110, 1_727_962),
    ModelEntry(name="squeezenet", builder=SqueezeNet, input_shape=_CIFAR, paper=_SQUEEZENET, parameters=734_986),
    _vae(28, 1, 1_443_361, filters=(16, 32), widths=(400, 200), latent=20),
    _vae(64, 3, 85_183_619, filters=(32, 64), widths=(2048, 4096), latent=100),
    _vgg(11, (1, 1, 2, 2, 2), 9_231_114),
    _vgg(16, (2, 2, 3, 3, 3), 14_728_266),
    _vgg(19, (2, 2, 4, 4, 4), 20_040_522),
)

TABLE: Mapping[str, ModelEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""All reference networks by name."""
