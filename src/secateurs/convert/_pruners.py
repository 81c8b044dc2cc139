"""The section `pruner` of ADaPT's later library as a recipe."""

from pathlib import Path
from typing import Any

from secateurs.convert._adapt_keys import LIBRARY_KEYS
from secateurs.convert._adapt_parts import CRITERION, batches, data, model, network, slug, training
from secateurs.convert._conversion import Conversion
from secateurs.convert._ini import Sections, checked_sections
from secateurs.convert._old_file import OldFile
from secateurs.data import SUBSETS

__all__ = ["convert_pruners"]

_CHOICES = {"l1-norm": "bottom", "random": "random"}


def convert_pruners(path: Path, sections: Sections) -> Conversion:
    """Cut, train on where the file says for how long; several percentages are variants.

    Raises:
        ConfigError: a section, key or value that the library does not take.
    """
    old = OldFile(str(path), LIBRARY_KEYS, checked_sections(path, sections, LIBRARY_KEYS))
    name, ratios = network(old), _ratios(old)
    if "Model_Path" in old and "Pretrained" in old:
        old.overruled("Pretrained", "Model_Path is there")
    called = old.text("Subset_Name", "entire_dataset")
    if called not in ("entire_dataset", *SUBSETS):
        old.changed("Subset_Name", "no subset of the paper: all classes, until `data.classes` says which")
    choice = old.choice("Mode", _CHOICES, "l1-norm")
    prune: dict[str, Any] = {"type": "prune", "remove": {"params": ratios[0]}, "group_floors": "pruners"}
    prune |= {"choice": "random"} if choice == "random" else {"criterion": CRITERION}
    epochs = old.whole("Total_Epochs", least=1) if "Total_Epochs" in old else 0
    stages = [prune, *([{"type": "train", "epochs": epochs, **training(old)}] if epochs else []), {"type": "measure"}]
    recipe: dict[str, Any] = {
        "name": f"{name}-{slug(called)}",
        "model": model(old, name, "Model_Path" if "Model_Path" in old else "Pretrained"),
        "data": data(old, called if called in SUBSETS else None),
        "batches": batches(old, "Train_Batch"),
        "seed": max(0, old.whole("Manual_Seed", 0)),
        "stages": stages,
    }
    if len(ratios) > 1:
        recipe["variants"] = {f"p{100 * ratio:g}": {"stages.0.remove.params": ratio} for ratio in ratios}
    mode = "pruner"
    return Conversion(source=str(path), system="pruners", mode=mode, recipe=recipe, notes=old.finish(mode))


def _ratios(old: OldFile) -> tuple[float, ...]:
    """Of parameters; percentages, or fractions where none is above 1."""
    words = str(old.raw("Pruning_Perc") or "").translate(str.maketrans("[](),", "     ")).split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    scale = 100 if max(values, default=0) > 1 else 1
    ratios = tuple(dict.fromkeys(round(value / scale, 10) for value in values))
    if not ratios or not all(0 < ratio < 1 for ratio in ratios):
        raise old.wrong("Pruning_Perc", "percentages above 0 and below 100, or fractions")
    return ratios
