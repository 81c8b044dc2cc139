"""ADaPT's sectioned config file as a recipe (Rajagopal and Bouganis, Now that I can see, I can improve, 2020)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from secateurs._errors import ConfigError
from secateurs.convert._adapt_keys import KEYS, MODES
from secateurs.convert._adapt_parts import batches, cut, data, model, network, percent, slug, subset, training
from secateurs.convert._conversion import Conversion
from secateurs.convert._ini import Sections, checked_sections
from secateurs.convert._old_file import OldFile

__all__ = ["convert_adapt"]

Stages = list[dict[str, Any]]

_LATEST = 15
"""The epoch at which an adaptive cut comes anyway."""


def convert_adapt(path: Path, sections: Sections) -> Conversion:
    """The recipe for what the first switch that is true asks for.

    Raises:
        ConfigError: a section or key that the tool does not have, a value that it does not take, or a mode that has
            no counterpart.
    """
    old = OldFile(str(path), KEYS, checked_sections(path, sections, KEYS))
    if old.truth("Prune_Weights") and old.truth("Prune_Filters"):
        raise old.wrong("Prune_Weights", "Prune_Weights or Prune_Filters, not both", "Set one of them to False.")
    if "Prune_Weights" in old:
        old.dropped("Prune_Weights", "single weights are masked here: stages scores and random_mask")
    switch = _switch(old, path)
    mode, recipe = _BUILD[switch](old)
    recipe["seed"] = max(0, old.whole("Manual_Seed", 0))
    if old.whole("Manual_Seed", 0) < 0:
        old.changed("Manual_Seed", "runs repeat: seed 0; `seeds: [0, 1, 2]` has several")
    stages = recipe.pop("stages")
    recipe = {**recipe, "stages": stages}
    return Conversion(source=str(path), system="ADaPT", mode=mode, recipe=recipe, notes=old.finish(mode))


def _switch(old: OldFile, path: Path) -> str | None:
    """The first that is true; those after it have no say."""
    true = [name for name in MODES if old.truth(name)]
    for name in true[1:]:
        old.overruled(name, f"{true[0]} is true and comes first")
    if true and true[0] in ("Entropy", "FBS_Pruning"):
        raise ConfigError(
            f"{path}, {true[0]}",
            wanted="a mode that has a counterpart here",
            got=f"{true[0]} as the first that is true",
            cure="Set it to False, or write a recipe with a criterion from secateurs.criteria.names().",
        )
    return true[0] if true else None


def _frame(old: OldFile, size: str, label: str = "") -> dict[str, Any]:
    """All of a recipe but its stages; `label` ends its name."""
    name = network(old)
    called, classes = subset(old)
    return {
        "name": "-".join(part for part in (name, slug(called), label) if part),
        "model": model(old, name),
        "data": data(old, classes),
        "batches": batches(old, size),
    }


def _measured(old: OldFile, mode: str) -> tuple[str, dict[str, Any]]:
    recipe = _frame(old, "Test_Batch", slug(mode.lower()))
    if "weights" not in recipe["model"]:
        old.assumed("Pretrained", "no weights: the network is as it begins")
    return mode, {**recipe, "stages": [{"type": "measure"}]}


def _get_gops(old: OldFile) -> tuple[str, dict[str, Any]]:
    minibatch = "Test_Batch" if old.truth("Inference_Gops") else "Train_Batch"
    recipe = _frame(old, minibatch, "gops")
    stage = {"type": "gops", "minibatch": recipe["batches"]["size"]}
    return "Get_Gops", {**recipe, "stages": [stage]}


def _unpruned(old: OldFile) -> tuple[str, dict[str, Any]]:
    return _measured(old, "Unpruned_Test_Acc")


def _evaluate(old: OldFile) -> tuple[str, dict[str, Any]]:
    return _measured(old, "Evaluate")


def _pruned_elsewhere(old: OldFile) -> tuple[str, dict[str, Any]]:
    """Weights are those of the run that the recipe for pruning on `Trained_On` leaves."""
    trained_on, removed = slug(old.text("Trained_On", "entire_dataset")), percent(old)
    recipe = _frame(old, "Test_Batch", f"trained_on-{trained_on}-{removed:g}")
    weights = f"runs/{recipe['model']['name']}-{trained_on}-{removed:g}"
    if "Pretrained" in old:
        old.overruled("Pretrained", f"the weights are those that were pruned on {trained_on}")
    old.changed("Trained_On", f"weights are those of the run {weights}; a variant for each percentage has more")
    recipe["model"]["weights"] = weights
    return "Pruned_Test_Acc", {**recipe, "stages": [{"type": "measure"}]}


def _channels(old: OldFile) -> tuple[str, dict[str, Any]]:
    recipe = _frame(old, "Test_Batch", "channels")
    levels = {"levels": [percent(old) / 100]} if "Pruning_Perc" in old else {}
    stage = {"type": "channels", "models": True, **levels, "cut": cut(old, recipe["model"]["name"])}
    return "No_Finetune_Channels_Pruned", {**recipe, "stages": [stage, {"type": "measure"}]}


def _prune_filters(old: OldFile) -> tuple[str, dict[str, Any]]:
    removed = percent(old)
    finetune, retrain = old.truth("Finetune"), old.truth("Retrain")
    trains = finetune or retrain
    recipe = _frame(old, "Train_Batch" if trains else "Test_Batch", f"{removed:g}")
    removal = {"remove": {"params": round(removed / 100, 10)}}
    choice = cut(old, recipe["model"]["name"])
    if "weights" not in recipe["model"]:
        old.assumed("Pretrained", "no weights: the network is as it begins")
    if finetune:
        if retrain:
            old.overruled("Retrain", "Finetune is true and comes first")
        stages, mode = _finetuned(old, removal, choice), "Prune_Filters, Finetune"
    elif retrain:
        epochs, how = old.whole("Finetune_Budget", least=1), training(old)
        prune: dict[str, Any] = {"type": "prune", **removal, **choice}
        stages = [prune, {"type": "reinitialise"}, {"type": "train", "epochs": epochs, **how}]
        mode = "Prune_Filters, Retrain"
    else:
        stages, mode = [{"type": "prune", **removal, **choice}], "Prune_Filters, inference alone"
    return mode, {**recipe, "stages": [*stages, {"type": "measure"}]}


def _finetuned(old: OldFile, removal: Mapping[str, Any], choice: Mapping[str, Any]) -> Stages:
    budget = old.whole("Finetune_Budget", least=1)
    first: dict[str, Any]
    if old.truth("Static", True):
        first = {"prune_after": old.whole("Prune_After", least=0)}
    else:
        if "Prune_After" in old:
            old.overruled("Prune_After", "Static is false: the cut comes when the network begins to overfit")
        first = {"when": "adaptive"}
    total = budget > first.get("prune_after", _LATEST)
    counts = "in total, as in the tool's code" if total else "after the cut, since it is over before the cut otherwise"
    old.changed("Finetune_Budget", f"counts epochs {counts}; `budget: {'after' if total else 'total'}` is the other")
    stage = {"type": "finetune_prune", **first, "finetune_budget": budget, "budget": "total" if total else "after"}
    return [{**stage, **removal, "cut": dict(choice), "train": training(old)}]


def _search(old: OldFile) -> tuple[str, dict[str, Any]]:
    recipe = _frame(old, "Train_Batch", "search")
    first, how = old.whole("Prune_After", least=0), training(old)
    before = {"type": "train", "epochs": first, **how}
    stage = {
        "type": "search",
        "target": "start",
        "compare": "points",
        "prune_after": first,
        "finetune_budget": old.whole("Finetune_Budget", least=0),
        "cut": cut(old, recipe["model"]["name"]),
        "train": how,
    }
    old.changed("Binary_Search", "probes are judged by validation images; the tool takes test images")
    if recipe["data"]["validation_ratio"] == 0:
        raise old.wrong("Train_Val_Split", "less than 1: a search needs validation images")
    return "Binary_Search", {**recipe, "stages": [*([before] if first else []), stage, {"type": "measure"}]}


def _plain(old: OldFile) -> tuple[str, dict[str, Any]]:
    recipe = _frame(old, "Train_Batch")
    stage = {"type": "train", "epochs": old.whole("Total_Epochs", least=1), **training(old)}
    return "plain training", {**recipe, "stages": [stage, {"type": "measure"}]}


_BUILD: Mapping[str | None, Callable[[OldFile], tuple[str, dict[str, Any]]]] = {
    "Get_Gops": _get_gops,
    "Unpruned_Test_Acc": _unpruned,
    "Pruned_Test_Acc": _pruned_elsewhere,
    "No_Finetune_Channels_Pruned": _channels,
    "Prune_Filters": _prune_filters,
    "Binary_Search": _search,
    "Evaluate": _evaluate,
    None: _plain,
}
