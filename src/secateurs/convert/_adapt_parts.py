"""What all modes of ADaPT have in common: network, classes, training."""

import re
from typing import Any

from secateurs import models
from secateurs.convert._old_file import OldFile
from secateurs.convert._resnet import resnet_of
from secateurs.data import SUBSETS

__all__ = ["CRITERION", "batches", "cut", "data", "model", "network", "percent", "slug", "subset", "training"]

_DATA = {name: name for name in ("cifar10", "cifar100")}
_MEAN, _STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
_NETWORKS = {
    "alexnet": "alexnet",
    "mobilenetv2": "mobilenet_v2",
    "mobilenet_v2": "mobilenet_v2",
    "squeezenet": "squeezenet",
    "googlenet": "googlenet",
    "vgg": "vgg16_bn",
    "vgg16": "vgg16_bn",
    "resnet": "resnet",
    **{f"resnet{depth}": f"resnet{depth}" for depth in (18, 20, 32, 44, 50, 56, 110)},
}
_OPTIMIZERS = {"sgd": "sgd", "rmsprop": "rmsprop", "adam": "adam"}
_EVERYTHING = "entire_dataset"
CRITERION = "mean_magnitude"


def slug(text: str) -> str:
    """The text as a part of a recipe's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:40] or "recipe"


def network(old: OldFile) -> str:
    """The network's name in the model table."""
    name: str = old.choice("Architecture", _NETWORKS)
    if name != "resnet":
        if "Depth" in old:
            old.dropped("Depth", f"{name} has one depth")
        return name
    return resnet_of(old, "Depth", models.names())


def _projects(name: str) -> bool:
    """A network for small images whose shortcuts can be 1x1 convolutions, as the tool's are."""
    return "shortcut" in models.TABLE[name].options


def model(old: OldFile, name: str, weights: str = "Pretrained") -> dict[str, Any]:
    """The section `model`, with the weights that the key `weights` names."""
    made: dict[str, Any] = {"name": name}
    if name.startswith("resnet") and _projects(name):
        made["options"] = {"shortcut": "B"}
    if weights not in old:
        old.raw(weights)
        return made
    made["weights"] = re.sub(r"(\.pth)?\.(tar|pth|pt|pkl|t7)$", "", old.text(weights))
    if made["weights"] != old.text(weights):
        made["weights"] += ".safetensors"
        old.changed(weights, f"pickled weights are never read; save them as {made['weights']}, with our names")
    return made


def subset(old: OldFile) -> tuple[str, list[str] | str | None]:
    """What the classes are called, and `data.classes`."""
    classes = old.words("Sub_Classes")
    name = old.text("Sub_Name") if "Sub_Name" in old else ""
    if not classes:
        if name and name != _EVERYTHING:
            old.overruled("Sub_Name", "without Sub_Classes the tool takes all classes")
        return _EVERYTHING, None
    if name in SUBSETS and set(SUBSETS[name]) == set(classes):
        return name, name
    if name in SUBSETS:
        old.overruled("Sub_Name", f"Sub_Classes are not those of the subset {name}")
    return slug(name or "+".join(classes)), list(classes)


def data(old: OldFile, classes: list[str] | str | None) -> dict[str, Any]:
    """The section `data`."""
    return {
        "name": old.choice("Dataset", _DATA),
        **({} if classes is None else {"classes": classes}),
        "validation_ratio": _validation_ratio(old),
        "mean": list(_MEAN),
        "std": list(_STD),
    }


def _validation_ratio(old: OldFile) -> float:
    share = old.number("Train_Val_Split", 0.8, least=0, most=1)
    if share == 0:
        raise old.wrong("Train_Val_Split", "the share of images to train on, above 0")
    return round(1 - share, 10)


def batches(old: OldFile, size: str) -> dict[str, Any]:
    """The section `batches`, its size by the key `size`; images are changed as the tool does."""
    return {"size": old.whole(size, 128, least=1), "crop": 4, "flip": True}


def training(old: OldFile) -> dict[str, Any]:
    """How it trains: every option but the number of epochs."""
    return {
        "optimizer": old.choice("Optimiser", _OPTIMIZERS) if "Optimiser" in old else "sgd",
        **_schedule(old),
        "momentum": _momentum(old),
        "weight_decay": old.number("Weight_Decay", 0.0005, least=0),
        # The tool reports the epoch that was best on its validation images.
        **({"keep": "best"} if _validation_ratio(old) else {}),
    }


def _momentum(old: OldFile) -> float:
    """`Momentum_Schedule` has pairs (epoch, momentum); a recipe has one momentum."""
    values = old.numbers("Momentum_Schedule")
    if not values:
        return old.number("Momentum", 0.9, least=0)
    if len(values) % 2 or not 0 <= values[1] < 1:
        raise old.wrong("Momentum_Schedule", "pairs of an epoch and a momentum, such as 0 0.9")
    if values[0] != 0:
        old.dropped("Momentum_Schedule", "momentum stays the same here")
        return old.number("Momentum", 0.9, least=0)
    if len(values) > 2:
        old.changed("Momentum_Schedule", f"momentum stays the same here: its first, {values[1]:g}")
    if "Momentum" in old:
        old.overruled("Momentum", "Momentum_Schedule begins with epoch 0")
    return values[1]


def _schedule(old: OldFile) -> dict[str, Any]:
    gamma = old.number("Gamma", 0.1, least=0)
    values = old.numbers("LR_Schedule")
    if not values:
        return _steps(old, gamma)
    if "LR_Scheduler" in old:
        old.overruled("LR_Scheduler", "LR_Schedule is there")
    epochs, rates = values[::2], values[1::2]
    if len(epochs) != len(rates) or list(epochs) != sorted({max(0, int(epoch)) for epoch in epochs}):
        raise old.wrong("LR_Schedule", "pairs of a rising epoch and a rate, such as 0 0.001 5 0.01 15 -1")
    pairs: list[list[float]] = [
        [int(epoch), -1 if rate == -1 else rate] for epoch, rate in zip(epochs, rates, strict=True)
    ]
    if pairs[0][0] != 0:
        pairs = [[0, old.number("Learning_Rate", least=0)], *pairs]
    elif "Learning_Rate" in old:
        old.overruled("Learning_Rate", "LR_Schedule begins with epoch 0")
    return {"schedule": "list", "rates": pairs, "gamma": gamma}


def _steps(old: OldFile, gamma: float) -> dict[str, Any]:
    """Without a list of rates: the learning rate, times gamma every so many epochs where that is said."""
    rate = old.number("Learning_Rate", least=0)
    if "LR_Scheduler" not in old:
        return {"schedule": "constant", "lr": rate}
    old.choice("LR_Scheduler", {"step": "step"})
    every = old.whole("Step_Size", least=1)
    # More than any training has: what lies behind its end has no effect.
    return {"schedule": "step", "lr": rate, "milestones": [every * step for step in range(1, 21)], "gamma": gamma}


def percent(old: OldFile) -> float:
    """`Pruning_Perc`, of the parameters."""
    value = old.number("Pruning_Perc", least=0, most=100)
    if not 0 < value < 100:
        raise old.wrong("Pruning_Perc", "a percentage above 0 and below 100")
    return value


def cut(old: OldFile, name: str) -> dict[str, Any]:
    """Which filters go; shortcuts are not ranked, and follow."""
    if "Metric" in old:
        old.choice("Metric", {"weights": CRITERION, "filters": CRITERION})
    criterion: Any = {"name": CRITERION, "options": {"leave": ["*shortcut*"]}} if _projects(name) else CRITERION
    return {"criterion": criterion, "group_floors": "adapt"}
