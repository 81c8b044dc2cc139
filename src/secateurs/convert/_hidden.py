"""A config of the neuron-pruning fork of hidden-networks, with its command line, as a recipe."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from secateurs._errors import ConfigError
from secateurs.convert._adapt_parts import slug
from secateurs.convert._conversion import Conversion, Note
from secateurs.convert._flags import key_names, read_flags, unknown_key
from secateurs.convert._hidden_keys import KEYS
from secateurs.convert._hidden_parts import batches, data, mask, model, training
from secateurs.convert._ini import read_text
from secateurs.convert._old_file import OldFile
from secateurs.recipes import parse_yaml

__all__ = ["convert_hidden"]

_MODES = {"pretraining": "pretraining", "pruning": "pruning", "finetuning": "finetuning"}
_EPOCHS, _FINE_RATE = 50, 0.01
"""What the fork's pages recommend for the second and third step, and the rate of the third."""

Stages = list[dict[str, Any]]


def convert_hidden(path: Path, flags: Sequence[str]) -> Conversion:
    """One step of the three, or all of them where no `exp_mode` is given.

    Raises:
        ConfigError: no mapping, a key or flag that the fork does not have, or a value that it does not take.
    """
    values = _values(path)
    given = read_flags(flags, KEYS)
    old = OldFile(str(path), KEYS, {**values, **given}, _overruled(values, given))
    mode, stages = _stages(old)
    recipe: dict[str, Any] = {
        "name": slug(old.text("name") if "name" in old else path.stem) + _suffix(mode),
        "model": model(old, masks=mode == "finetuning" and not old.truth("prandom")),
        "data": data(old),
        "batches": batches(old),
        "seed": old.whole("seed", 0, least=0),
        **_devices(old),
        "stages": [*stages, {"type": "measure"}],
    }
    return Conversion(source=str(path), system="hidden-networks", mode=mode, recipe=recipe, notes=old.finish(mode))


def _values(path: Path) -> dict[str, Any]:
    """The file's values by key."""
    found = parse_yaml(read_text(path), where=str(path))
    if not isinstance(found, dict):
        got = type(found).__name__
        raise ConfigError(str(path), wanted="a mapping of keys to values", got=got, cure="Name a config file.")
    names, values = key_names(KEYS), {}
    for key, value in found.items():
        name = names.get(str(key).replace("-", "_").lower())
        if name is None:
            raise unknown_key(f"{path}, {key}", str(key), names)
        if isinstance(value, dict) or (isinstance(value, list) and name != "prlist"):
            kind = type(value).__name__
            raise ConfigError(f"{path}, {key}", wanted="one value", got=f"a {kind}", cure="Correct it there.")
        values[name] = value
    return values


def _overruled(values: Mapping[str, Any], given: Mapping[str, str]) -> list[Note]:
    """What the command line says otherwise than the file."""
    return [
        Note(kind="overruled", key=name, value=str(value), why=f"the command line says {given[name]}")
        for name, value in values.items()
        if name in given and str(value) != given[name]
    ]


def _suffix(mode: str) -> str:
    """As the fork names its runs."""
    return f"_{mode}" if mode in ("pruning", "finetuning") else ""


def _devices(old: OldFile) -> dict[str, int]:
    """As many as `multigpu` names."""
    named = [part for part in re.split(r"[,\s]+", old.text("multigpu")) if part] if "multigpu" in old else []
    if any(not part.isdigit() for part in named):
        raise old.wrong("multigpu", "numbers of GPUs, such as 0,1")
    return {"devices": len(named)} if len(named) > 1 else {}


def _stages(old: OldFile) -> tuple[str, Stages]:
    if old.truth("evaluate"):
        return "evaluate", []
    dense = "conv_type" in old and old.text("conv_type").lower() == "denseconv"
    mode = old.choice("exp_mode", _MODES) if "exp_mode" in old else "pretraining" if dense else "all steps"
    if mode == "pretraining":
        return mode, [{"type": "train", "name": "pretrain", **training(old)}]
    if old.truth("prandom"):
        return mode, [{"type": "random_mask", "mask": mask(old, drawn=True)}, {"type": "finetune", **training(old)}]
    if mode == "pruning":
        return mode, [_scores(old, training(old))]
    if mode == "finetuning":
        if "resume" not in old:
            raise old.wrong("resume", "what the step before has left, to fine-tune it", "Give --resume FILE.")
        return mode, [{"type": "finetune", **training(old), "mask": mask(old)}]
    old.assumed(
        "exp_mode", f"all three steps; {_EPOCHS} epochs each of scores and of fine-tuning, at rate {_FINE_RATE}"
    )
    first = training(old)
    scores = _scores(old, first | {"epochs": _EPOCHS})
    last = first | {"epochs": _EPOCHS, "lr": _FINE_RATE}
    return mode, [{"type": "train", "name": "pretrain", **first}, scores, {"type": "finetune", **last}]


def _scores(old: OldFile, how: dict[str, Any]) -> dict[str, Any]:
    made = mask(old)
    inits = {"kaiming": "kaiming", "normal": "uniform", "gaussian": "normal"}
    init = {"score_init": old.choice("score_init", inits)} if "score_init" in old else {}
    warm: dict[str, int] = {}
    if old.truth("gp_warm_up") and made["scope"] == "global":
        warm = {"mask_warmup_epochs": old.whole("gp_warm_up_epochs", 20, least=0)}
    elif old.truth("gp_warm_up"):
        old.overruled("gp_warm_up", "a layer cannot be emptied where each has the same rate")
    return {"type": "scores", **how, **init, **warm, "mask": made}
