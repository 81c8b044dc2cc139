"""What all steps of the neuron-pruning fork have in common: network, data, training, mask."""

import re
from pathlib import PurePosixPath
from typing import Any

from secateurs.convert._old_file import OldFile

__all__ = ["batches", "data", "mask", "model", "training"]

_NETWORKS = {
    **{f"Conv{depth}": f"conv{depth}" for depth in (2, 4, 6, 8)},
    "Conv4Wide": "conv4",
    "Conv6Wide": "conv6",
    "FC": "mlp",
    "ResNet18": "resnet18",
    "ResNet50": "resnet50",
    "cResNet18": "resnet18",
    "cResNet50": "resnet50",
}
_SETS = {"CIFAR10": "cifar10", "CIFAR100": "cifar100", "MNIST": "mnist"}
_POLICIES = {"cosine_lr": "cosine", "constant_lr": "constant", "multistep_lr": "step"}
_PICTURES = {"crop": 4, "flip": True}
_COLOURS: dict[str, Any] = {"mean": [0.491, 0.482, 0.447], "std": [0.247, 0.243, 0.262]}


def model(old: OldFile, *, masks: bool) -> dict[str, Any]:
    """The section `model`; with the masks beside the weights where the step needs them."""
    name = old.choice("arch", _NETWORKS)
    made: dict[str, Any] = {"name": name}
    width = old.number("width_mult", 1.0, least=0) if "width_mult" in old else 1.0
    if width != 1 and name == "mlp":
        made["options"] = {"widths": [max(1, round(300 * width)), max(1, round(100 * width))]}
    elif width != 1:
        made["options"] = {"width": width}
    key = "resume" if "resume" in old else "pretrained"
    if key not in old:
        return made
    if key == "resume" and "pretrained" in old:
        old.overruled("pretrained", "resume is there")
    made["weights"] = re.sub(r"\.(pth|pt|state)(\.tar)?$", "", old.text(key))
    if made["weights"] != old.text(key):
        made["weights"] += ".safetensors"
        old.changed(key, f"pickled weights are never read; a run here leaves {PurePosixPath(made['weights']).name}")
    if masks:
        made["masks"] = str(PurePosixPath(made["weights"]).parent / "masks.safetensors")
    return made


def data(old: OldFile) -> dict[str, Any]:
    """The section `data`; as in the fork, no image is set aside."""
    name = old.choice("set", _SETS)
    made: dict[str, Any] = {"name": name, "validation_ratio": 0.0}
    if name.startswith("cifar"):
        made |= _COLOURS
    if old.truth("shuffle"):
        if "seed" not in old:
            raise old.wrong("seed", "the seed that labels are shuffled by", "Give --seed N, as the fork wants it too.")
        made |= {"shuffle_labels": True, "split_seed": old.whole("seed", least=0)}
        old.changed("shuffle", "labels are shuffled; the fork left them as they were. Judge by train_accuracy")
    return made


def batches(old: OldFile) -> dict[str, Any]:
    """The section `batches`."""
    return {"size": old.whole("batch_size", 256, least=1), **({} if _grey(old) else _PICTURES)}


def _grey(old: OldFile) -> bool:
    return bool(old.choice("set", _SETS) == "mnist")


def training(old: OldFile) -> dict[str, Any]:
    """How a step trains."""
    epochs = old.whole("epochs", 90, least=1)
    return {
        "epochs": epochs,
        "optimizer": old.choice("optimizer", {name: name for name in ("sgd", "adam", "rmsprop")}, "sgd"),
        "lr": old.number("lr", 0.1, least=0),
        **_schedule(old, epochs),
        "momentum": old.number("momentum", 0.9, least=0, most=1),
        "weight_decay": old.number("weight_decay", 1e-4, least=0),
        **({"nesterov": True} if old.truth("nesterov") else {}),
        **({"label_smoothing": old.number("label_smoothing", least=0)} if "label_smoothing" in old else {}),
    }


def _schedule(old: OldFile, epochs: int) -> dict[str, Any]:
    policy = old.choice("lr_policy", _POLICIES, "constant_lr")
    made: dict[str, Any] = {"schedule": policy}
    if "warmup_length" in old:
        made["warmup_epochs"] = old.whole("warmup_length", least=0)
    if policy == "step":
        every = old.whole("multistep_lr_adjust", 30, least=1)
        # Its last one may lie behind the end: a step schedule has at least one.
        made["milestones"] = list(range(every, max(epochs, every + 1), every))
        made["gamma"] = old.number("multistep_lr_gamma", 0.1, least=0)
    return made


def mask(old: OldFile, *, drawn: bool = False) -> dict[str, Any]:
    """The section `mask`; of one that is drawn by lot, nothing is ranked."""
    rate = old.number("prune_rate", least=0, most=1)
    if rate == 1:
        raise old.wrong("prune_rate", "the fraction removed, less than 1")
    sizes = {"normal": "weight", "filter": "kernel", "channel": "channel"}
    made: dict[str, Any] = {"rate": rate, "granularity": old.choice("pmode", sizes, "normal")}
    if drawn:
        for name in ("pscale", "rank_method", "whether_abs"):
            if name in old:
                old.overruled(name, "units are drawn by lot, in each layer as many as its rate says")
    else:
        made |= _ranking(old)
    return made | _layers(old)


def _ranking(old: OldFile) -> dict[str, Any]:
    return {
        "scope": old.choice("pscale", {name: name for name in ("layerwise", "global")}, "layerwise"),
        "rank": old.choice("rank_method", {name: name for name in ("absolute", "relevant")}, "absolute"),
        "signed": "whether_abs" in old and old.text("whether_abs").lower() != "abs",
    }


def _layers(old: OldFile) -> dict[str, Any]:
    """Rates of single layers, and layers that stay whole."""
    made: dict[str, Any] = {}
    rates = old.numbers("prlist")
    if old.truth("first_layer_dense"):
        if rates:
            old.overruled("first_layer_dense", "prlist has a rate for the first layer")
        rates = rates or (0.0,)
    if rates:
        made["rates"] = list(rates)
    words = {"linear": "linear", "linear_last": "linear_last"}
    protect = [old.choice("protect", words)] if "protect" in old else []
    protect += ["linear_last"] if old.truth("last_layer_dense") else []
    return made | ({"protect": list(dict.fromkeys(protect))} if protect else {})
