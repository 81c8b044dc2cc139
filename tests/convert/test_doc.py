"""The page on conversions shows every key as the code has it, and recipes that are recipes."""

import re
from pathlib import Path
from typing import Any

import pytest

from secateurs.convert import Conversion, convert
from secateurs.convert._adapt_keys import KEYS as ADAPT
from secateurs.convert._adapt_keys import LIBRARY_KEYS, MODES
from secateurs.convert._hidden_keys import KEYS as FORK
from secateurs.convert._key import Key
from secateurs.convert._static_keys import KEYS as STATIC
from secateurs.recipes import parse, parse_yaml
from tests.convert._files import SECTIONS, fork, ini, static
from tests.convert._files import STATIC as FRAMEWORK

PAGE = (Path(__file__).parents[2] / "docs" / "convert.md").read_text()
REFUSED = ("Entropy", "FBS_Pruning")
VALUES = {"Dataset": "cifar10", "Architecture": "resnet", "Depth": "20", "Optimiser": "sgd"}
VALUES |= {name: values[name] for values in SECTIONS.values() for name in values if name not in VALUES}
FLAGS = {
    "exp_mode": "pruning",
    "arch": "Conv2",
    "set": "CIFAR10",
    "optimizer": "sgd",
    "lr_policy": "multistep_lr",
    "prune_rate": "0.5",
    "pmode": "channel",
    "pscale": "global",
    "rank_method": "relevant",
    "whether_abs": "abs",
    "score_init": "normal",
    "prlist": "0.1",
    "protect": "linear",
    "resume": "a.pth",
    "momentum": "0.9",
    "label_smoothing": "0.1",
    "evaluate": "0",
    "conv_type": "SubnetConv",
    "multigpu": "0,1",
}
KEPT = tuple(FRAMEWORK)
LIBRARY = tuple(key for key in LIBRARY_KEYS if key.section == "pruner")


def rows(title: str) -> list[list[str]]:
    """The cells of the table with this first line."""
    (table,) = re.findall(rf"{re.escape(title)}\n\|[-|]+\|\n((?:\|.*\n?)+)", PAGE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


@pytest.mark.parametrize(
    ("part", "title", "keys"),
    [
        ("ADaPT", "| section | old key | here |", ADAPT),
        ("fork", "| old key or flag | here |", FORK),
    ],
)
def test_every_key_has_its_row(part: str, title: str, keys: tuple[Key, ...]) -> None:
    wanted = [([f"`{key.section}`"] if key.section else []) + [f"`{key.name}`", key.meaning] for key in keys]
    assert rows(title) == wanted, part


def test_the_tables_of_the_library_and_of_the_framework() -> None:
    tables = re.findall(r"(?m)^\| old key \| here \|\n\|[-|]+\|\n((?:\|.*\n?)+)", PAGE)
    assert len(tables) == 2
    for table, keys in zip(tables, (LIBRARY, STATIC), strict=True):
        assert table.splitlines() == [f"| `{key.name}` | {key.meaning} |" for key in keys]


def test_every_mode_is_named() -> None:
    first = " ".join(row[0] for row in rows("| mode | stages |"))
    assert [mode for mode in MODES if f"`{mode}`" not in first] == []


def test_the_grid_of_the_scripts_is_a_recipe() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    recipe = parse(parse_yaml(block, where="docs/convert.md"), source="docs/convert.md")
    assert recipe.variants is not None
    assert len(recipe.variants) == 2 * 2 * 3
    assert recipe.variants["aware-mobilenet_v2-indoors-75"]["stages.0.remove.params"] == 0.75


def unread(made: Conversion) -> set[str]:
    """Keys of the file that are not in the recipe in any way."""
    return {note.key.rpartition(" ")[2] for note in made.notes if note.kind == "dropped"}


def test_a_key_of_the_tool_has_a_say_in_some_mode_or_is_dropped_in_all(tmp_path: Path) -> None:
    more = {"training_hyperparameters": {"Optimiser": "sgd", "LR_Scheduler": "step", "Step_Size": "1"}}
    left: list[set[str]] = []
    for switch in (*(mode for mode in MODES if mode not in REFUSED), "Total_Epochs"):
        section = {key.name: key.section for key in ADAPT}[switch]
        keys: dict[str, dict[str, str | None]] = {name: {**values} for name, values in more.items()}
        keys["training_hyperparameters"]["LR_Schedule"] = None if switch == "Total_Epochs" else "0 0.1"
        keys["pytorch_parameters"] = {"Pretrained": "a.pth"}
        for key in ADAPT:
            keys.setdefault(key.section, {}).setdefault(key.name, VALUES.get(key.name, "0"))
        keys["pruning_hyperparameters"] |= dict.fromkeys(("Finetune", "Static", "Retrain", "Inference_Gops"), "True")
        keys[section][switch] = "True" if switch in MODES else "3"
        left.append(unread(convert(ini(tmp_path, keys))))
    assert set.intersection(*left) == {key.name for key in ADAPT if key.dropped}


def test_a_flag_of_the_fork_has_a_say_in_some_step_or_is_dropped_in_all(tmp_path: Path) -> None:
    flags = [part for key in FORK for part in (f"--{key.name}", FLAGS.get(key.name, "1"))]
    extra = (["--exp_mode", mode, *rest] for mode in ("pruning", "finetuning") for rest in ([], ["--prandom", "0"]))
    left = []
    for given in extra:
        merged = dict(zip(flags[::2], flags[1::2], strict=True)) | dict(zip(given[::2], given[1::2], strict=True))
        left.append(unread(convert(fork(tmp_path), [part for pair in merged.items() for part in pair])))
    assert set.intersection(*left) == {key.name for key in FORK if key.dropped}


def test_a_key_of_the_framework_has_a_say_or_is_dropped(tmp_path: Path) -> None:
    everything: dict[str, Any] = {key.name: 1 for key in STATIC if key.name not in {*KEPT}}
    everything |= {"fisher_type": "true", "decomp_method": "usual", "ma": 0.9}
    assert unread(convert(static(tmp_path, **everything))) == {key.name for key in STATIC if key.dropped}


def test_every_key_says_one_thing() -> None:
    for key in (*ADAPT, *LIBRARY, *FORK, *STATIC):
        assert bool(key.here) != bool(key.dropped), key.name
