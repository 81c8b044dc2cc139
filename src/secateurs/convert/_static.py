"""config.json of the framework that joins static and dynamic pruning as a recipe."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from secateurs import models
from secateurs._errors import ConfigError
from secateurs._json import parse_json
from secateurs._nearest import nearest_hint
from secateurs.convert._adapt_parts import slug
from secateurs.convert._conversion import Conversion
from secateurs.convert._flags import unknown_key
from secateurs.convert._ini import read_text
from secateurs.convert._old_file import OldFile
from secateurs.convert._resnet import resnet_of
from secateurs.convert._static_keys import KEYS

__all__ = ["convert_static"]

_WIDE, _SIDE = 4, 32
_MODE = "static pruning"
_DROP = 0.01
_STAIRS = 1
_LIMIT = 0.95
_METHODS = {"usual": "directions", "tucker": "tucker"}


def convert_static(path: Path) -> Conversion:
    """Cut and train in turns.

    Raises:
        ConfigError: no mapping, a key that the framework does not have, or a value that it does not take.
    """
    old = OldFile(str(path), KEYS, _values(path))
    name = slug(old.text("exp_name")) if "exp_name" in old else "static"
    first, last = old.whole("epochs_start", 1, least=1), old.whole("epochs_end", 1, least=1)
    rounds = [_cut(old), {"type": "train", **_training(old, first)}]
    stages: list[dict[str, Any]] = [{"type": "repeat", "times": old.whole("max_iter", 100, least=0) + 1}]
    stages[0]["stages"] = rounds
    if last > first:
        old.changed("epochs_end", "epochs do not grow with what is gone: a last training has these")
        stages.append({"type": "train", "name": "last", **_training(old, last)})
    recipe: dict[str, Any] = {
        "name": name,
        "model": _model(old),
        "data": _data(old),
        "batches": {"size": old.whole("batch_size", 128, least=1), "crop": 4, "flip": True},
        "seed": old.whole("seed", least=0) if "seed" in old else 0,
        "stages": [*stages, {"type": "measure"}],
    }
    return Conversion(source=str(path), system="static and dynamic", mode=_MODE, recipe=recipe, notes=old.finish(_MODE))


def _values(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(read_text(path))
    except ValueError as error:
        cure = "Correct it there."
        raise ConfigError(str(path), wanted="JSON", got=str(error), cure=cure) from error
    if not isinstance(found, dict):
        got = type(found).__name__
        raise ConfigError(str(path), wanted="a mapping of keys to values", got=got, cure="Name a config file.")
    names = {key.name for key in KEYS}
    values: dict[str, Any] = {}
    for key, value in found.items():
        name = key.lower()
        if name not in names or name in values:
            raise unknown_key(f"{path}, {key}", key, names)
        if isinstance(value, dict | list) and name != "scheduler_params":
            raise ConfigError(f"{path}, {key}", wanted="one value", got=repr(value), cure="Correct it there.")
        values[name] = value
    return values


def _model(old: OldFile) -> dict[str, Any]:
    old.choice("network", {"resnet": "resnet"})
    depth = old.whole("depth", least=1)
    if f"resnet{depth}x4" in models.names():
        return {"name": f"resnet{depth}x4"}
    known = [name for name in models.names() if "shortcut" in models.TABLE[name].options]
    return {"name": resnet_of(old, "depth", known), "options": {"width": float(_WIDE), "shortcut": "B"}}


def _data(old: OldFile) -> dict[str, Any]:
    folder = PurePosixPath(old.text("data_dir")).name.lower()
    name = re.sub(r"[^a-z0-9]", "", folder)
    if name not in ("cifar10", "cifar100"):
        cure = nearest_hint(name, ("cifar10", "cifar100"), "Write the recipe with data.path.")
        raise old.wrong("data_dir", "a folder called cifar_10 or cifar_100", cure)
    side = old.whole("resize", least=1) if "resize" in old else _SIDE
    return {"name": name, **({} if side == _SIDE else {"resize": side}), "validation_ratio": 0.1}


def _cut(old: OldFile) -> dict[str, Any]:
    """A cut in the eigenbasis, by one threshold as there."""
    ratio = old.number("prune_ratio", least=0, most=1)
    if not 0 < ratio < 1:
        raise old.wrong("prune_ratio", "a fraction above 0 and below 1")
    old.changed("prune_ratio", "directions count that are really gone: a layer that would not get cheaper stays whole")
    old.changed("max_iter", f"cuts end once validation accuracy has fallen by {_DROP:g}, the most that is allowed")
    return {
        "type": "eigen",
        "remove": {"units": ratio},
        "order": "importance",
        **_limit(old),
        **_factors(old),
        "normalize": old.truth("normalize"),
        "ekfac": old.truth("correct_eigenvalues"),
        "method": old.choice("decomp_method", _METHODS) if "decomp_method" in old else "directions",
        "stop": {"accuracy_drop": _DROP},
    }


def _limit(old: OldFile) -> dict[str, float]:
    limit = old.number("prune_ratio_limit", _LIMIT, least=0, most=1)
    if not limit:
        raise old.wrong("prune_ratio_limit", "a fraction above 0")
    if limit == 1:
        old.changed("prune_ratio_limit", f"taken as {_LIMIT:g}, as no layer may lose all of its directions")
    return {"limit": _LIMIT if limit == 1 else limit}


def _factors(old: OldFile) -> dict[str, Any]:
    """How they are measured."""
    made: dict[str, Any] = {}
    if "fisher_type" in old:
        made["fisher"] = old.choice("fisher_type", {"true": "true", "empirical": "empirical"})
        if made["fisher"] == "true":
            old.changed("fisher_type", "over all labels by random signs; `sampled` draws one for each image, as there")
    whole = old.truth("use_full_cov_a")
    if "sua" in old:
        made["inputs"] = "channel" if old.truth("sua") else "patch"
        if made["inputs"] == "patch" and not whole:
            old.changed("use_full_cov_a", "factors of patches are whole here, not products of channels and offsets")
    if "ma" in old:
        made["decay"] = old.number("ma", least=0, most=1)
        if made["decay"] == 1:
            raise old.wrong("ma", "a number of at least 0 and below 1")
    if "regularization" in old:
        made["damping"] = old.number("regularization", least=0)
    return made


def _training(old: OldFile, epochs: int) -> dict[str, Any]:
    return {
        "epochs": epochs,
        **_schedule(old, epochs),
        "momentum": old.number("momentum", 0.9, least=0),
        "weight_decay": old.number("weight_decay", 5e-4, least=0),
    }


def _schedule(old: OldFile, epochs: int) -> dict[str, Any]:
    rate = old.number("lr", 0.001, least=0)
    if old.whole("scheduler_id", _STAIRS) != _STAIRS:
        old.changed("scheduler_id", "the rate stays the same: only stairs (1) have a counterpart")
        return {"schedule": "constant", "lr": rate}
    params = old.raw("scheduler_params") or {}
    try:
        steps = sorted((int(float(share) * epochs), float(factor)) for share, factor in params.items())
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        wanted = 'fractions of the epochs and factors of lr, such as {"0.5": 0.1}'
        raise old.wrong("scheduler_params", wanted) from error
    # Of several in one epoch, the last.
    later = {epoch: rate * factor for epoch, factor in steps if 0 < epoch < epochs and factor > 0}
    return {"schedule": "list", "rates": [[0, rate], *([epoch, value] for epoch, value in later.items())]}
