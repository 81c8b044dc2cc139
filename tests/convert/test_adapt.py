"""Every mode of ADaPT's config file converts, and what it converts to runs."""

from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.convert import Conversion, convert
from secateurs.convert._adapt_keys import MODES
from tests.convert._files import SECTIONS, ini, pruning
from tests.convert._run import carried_out, recipe

# AlexNet of a sixteenth, for 29 pixels and more.
SMALL: dict[str, Any] = {"data.resize": 32, "model.options": {"width": 0.06}, "batches.crop": 1}


def types(made: Conversion) -> list[str]:
    return [stage["type"] for stage in made.recipe["stages"]]


def notes(made: Conversion, kind: str) -> list[str]:
    return [note.key.rpartition(" ")[2] for note in made.notes if note.kind == kind]


def ran(path: Path, tmp_path: Path, **changes: Any) -> dict[str, Any]:
    return carried_out(convert(path), tmp_path / "run", {**SMALL, **changes})


def test_get_gops_counts_a_minibatch_of_training_or_of_testing(tmp_path: Path) -> None:
    state = ran(pruning(tmp_path, Get_Gops="True", Inference_Gops="True"), tmp_path)
    assert state["stages"][0]["results"]["gops"]["minibatch"] == 64
    made = convert(pruning(tmp_path, Get_Gops="True", Inference_Gops="False"))
    assert made.recipe["stages"] == [{"type": "gops", "minibatch": 32}]


def test_unpruned_accuracy_is_measured_on_the_subset(tmp_path: Path) -> None:
    path = pruning(tmp_path, Unpruned_Test_Acc="True")
    assert types(convert(path)) == ["measure"]
    state = ran(path, tmp_path)
    assert 0 <= state["summary"]["after"]["test_accuracy"] <= 1


def test_pruned_accuracy_is_that_of_the_run_that_pruned_elsewhere(tmp_path: Path) -> None:
    """The weights it names are where the recipe for pruning on all classes leaves them."""
    first = convert(pruning(tmp_path, Prune_Filters="True", Sub_Classes="", Sub_Name="entire_dataset"))
    second = convert(pruning(tmp_path, Pruned_Test_Acc="True", Trained_On="entire_dataset"))
    assert second.recipe["model"]["weights"] == f"runs/{first.recipe['name']}"
    left = tmp_path / first.recipe["name"]
    before = carried_out(first, left, SMALL | {"data.classes": None})
    after = carried_out(second, tmp_path / "run", SMALL | {"model.weights": str(left)})
    assert after["summary"]["after"]["params"] == before["summary"]["after"]["params"]
    assert after["trained_on"] == "entire_dataset"


def test_channels_without_finetuning_are_written_with_the_model(tmp_path: Path) -> None:
    path = pruning(tmp_path, No_Finetune_Channels_Pruned="True")
    ran(path, tmp_path)
    assert (tmp_path / "run/stages/00-channels/pre_ft_pp_50.safetensors").exists()
    levels = convert(pruning(tmp_path, No_Finetune_Channels_Pruned="True", Pruning_Perc=None)).recipe["stages"][0]
    assert "levels" not in levels


def test_fine_tuning_before_the_cut(tmp_path: Path) -> None:
    path = pruning(tmp_path, Prune_Filters="True", Finetune="True", Static="True")
    state = ran(path, tmp_path)
    assert [stage["name"] for stage in state["stages"]] == ["00-train", "01-prune", "02-train", "03-measure"]
    assert [stage["results"].get("epochs") for stage in state["stages"]] == [1, None, 2, None]
    assert state["summary"]["removed"]["params"] >= 0.5


def test_an_adaptive_cut(tmp_path: Path) -> None:
    path = pruning(tmp_path, Prune_Filters="True", Finetune="True", Static="False", Finetune_Budget="4")
    made = convert(path)
    assert (made.recipe["stages"][0]["when"], made.recipe["stages"][0]["budget"]) == ("adaptive", "after")
    assert "Prune_After" in notes(made, "overruled")
    changes = {"stages.0.adaptive": {"epochs": 1, "since": 0, "latest": 2}, "stages.0.finetune_budget": 1}
    assert ran(path, tmp_path, **changes)["summary"]["removed"]["params"] >= 0.5


def test_pruning_and_training_from_scratch(tmp_path: Path) -> None:
    path = pruning(tmp_path, Prune_Filters="True", Finetune="False", Retrain="True", Finetune_Budget="1")
    assert types(convert(path)) == ["prune", "reinitialise", "train", "measure"]
    assert ran(path, tmp_path)["summary"]["removed"]["params"] >= 0.5


def test_pruning_and_inference_alone(tmp_path: Path) -> None:
    path = pruning(tmp_path, Prune_Filters="True", Finetune="False", Retrain="False")
    made = convert(path)
    assert types(made) == ["prune", "measure"]
    assert {"LR_Schedule", "Finetune_Budget", "Prune_After"} <= set(notes(made, "dropped"))
    assert ran(path, tmp_path)["summary"]["removed"]["params"] >= 0.5


def test_the_search(tmp_path: Path) -> None:
    path = pruning(tmp_path, Binary_Search="True", Finetune_Budget="1")
    made = convert(path)
    assert types(made) == ["train", "search", "measure"]
    assert made.recipe["stages"][1] | {"train": None} == {
        "type": "search",
        "target": "start",
        "compare": "points",
        "prune_after": 1,
        "finetune_budget": 1,
        "cut": {"criterion": "mean_magnitude", "group_floors": "adapt"},
        "train": None,
    }
    state = ran(path, tmp_path, **{"stages.1.levels": [0.3, 0.6, 0.9]})
    assert len(state["stages"][1]["results"]["probes"]) == 2


def test_evaluating(tmp_path: Path) -> None:
    path = ini(tmp_path, {"pytorch_parameters": {"Evaluate": "True"}})
    assert types(convert(path)) == ["measure"]
    assert ran(path, tmp_path)["status"] == "finished"


def test_plain_training(tmp_path: Path) -> None:
    path = ini(tmp_path)
    made = convert(path)
    assert made.mode == "plain training"
    assert made.recipe["stages"][0] == {
        "type": "train",
        "epochs": 2,
        "optimizer": "sgd",
        "schedule": "list",
        "rates": [[0, 0.001], [1, 0.01], [2, -1]],
        "gamma": 0.1,
        "momentum": 0.9,
        "weight_decay": 0.0001,
        "keep": "best",
    }
    assert notes(made, "overruled") == ["Learning_Rate", "Momentum"]
    assert ran(path, tmp_path)["stages"][0]["results"]["epochs"] == 2


@pytest.mark.parametrize("mode", ["Entropy", "FBS_Pruning"])
def test_side_experiments_are_refused(tmp_path: Path, mode: str) -> None:
    section = "entropy_hyperparameters" if mode == "Entropy" else "pruning_hyperparameters"
    path = ini(tmp_path, {section: {mode: "True"}})
    with pytest.raises(ConfigError, match=f"{mode}: wanted a mode that has a counterpart here"):
        convert(path)


def test_the_first_switch_wins_top_down(tmp_path: Path) -> None:
    """Property: whatever comes after a true switch has no say, and is named."""
    where = {"Entropy": "entropy_hyperparameters", "Evaluate": "pytorch_parameters"}
    usable = [mode for mode in MODES if mode not in ("Entropy", "FBS_Pruning")]
    for winner in usable:
        changes: dict[str, dict[str, str | None]] = {}
        for mode in MODES[MODES.index(winner) :]:
            changes.setdefault(where.get(mode, "pruning_hyperparameters"), {})[mode] = "true"
        made = convert(ini(tmp_path, changes))
        assert made.mode.startswith(winner)
        later = MODES[MODES.index(winner) + 1 :]
        assert [name for name in notes(made, "overruled") if name in MODES] == list(later)


def test_keys_are_the_same_in_upper_and_lower_case(tmp_path: Path) -> None:
    path = ini(tmp_path)
    before = convert(path).recipe
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join(
            line.partition(" : ")[0].upper() + " : " + line.partition(" : ")[2] if " : " in line else line
            for line in lines
        )
    )
    assert convert(path).recipe == before


def test_every_key_is_in_the_recipe_or_in_a_note(tmp_path: Path) -> None:
    """Changing a key's value changes the recipe or one of the notes."""
    changed = {
        "False": "True",
        "32": "16",
        "64": "8",
        "cifar100": "cifar10",
        "alexnet": "squeezenet",
        "weights": "filters",
    }
    silent = {"Metric"}  # both of its words mean the same
    for section, values in SECTIONS.items():
        for key, value in values.items():
            path = pruning(tmp_path, Prune_Filters="True", Finetune="True")
            before = convert(path).text()
            new = changed.get(
                value, "0 0.5" if "Schedule" in key else f"{value}7" if value[-1].isdigit() else f"{value}x"
            )
            new = {"Train_Val_Split": "0.7", "Momentum": "0.7", "Pruning_Perc": "57"}.get(key, new)
            text = path.read_text().replace(f"{key} : {value}\n", f"{key} : {new}\n")
            path.write_text(text)
            assert (convert(path).text() != before) == (key not in silent), (section, key, new)


def test_classes_are_named_or_listed(tmp_path: Path) -> None:
    def classes(**keys: str | None) -> Any:
        return convert(pruning(tmp_path, **keys)).recipe["data"].get("classes")

    assert classes() == "aquatic"
    assert classes(Sub_Name="mine") == ["aquatic_mammals", "fish"]
    assert classes(Sub_Classes="fish") == ["fish"]
    assert classes(Sub_Name="entire_dataset", Sub_Classes="") is None
    assert classes(Sub_Name=None, Sub_Classes="fish trees") == ["fish", "trees"]


@pytest.mark.parametrize(
    ("network", "depth", "model"),
    [
        ("resnet", "20", {"name": "resnet20", "options": {"shortcut": "B"}}),
        ("mobilenetv2", "20", {"name": "mobilenet_v2"}),
        ("squeezenet", "20", {"name": "squeezenet"}),
        ("ResNet", "56", {"name": "resnet56", "options": {"shortcut": "B"}}),
    ],
)
def test_networks(tmp_path: Path, network: str, depth: str, model: dict[str, Any]) -> None:
    keys: dict[str, str | None] = {"Prune_Filters": "True"}
    path = ini(tmp_path, {"cnn": {"Architecture": network, "Depth": depth}, "pruning_hyperparameters": keys})
    made = convert(path)
    assert made.recipe["model"] == model
    leaves = made.recipe["stages"][0]["criterion"]
    assert (leaves == "mean_magnitude") == (network == "squeezenet")


@pytest.mark.slow
@pytest.mark.parametrize("network", ["resnet", "mobilenetv2", "squeezenet"])
def test_other_networks_run(tmp_path: Path, network: str) -> None:
    keys: dict[str, str | None] = {"Prune_Filters": "True", "Finetune": "True"}
    path = ini(tmp_path, {"cnn": {"Architecture": network}, "pruning_hyperparameters": keys})
    options = convert(path).recipe["model"].get("options", {}) | {"width": 0.25}
    changes = {"data.resize": 16, "batches.crop": 1, "data.limit": 60, "model.options": options}
    assert carried_out(convert(path), tmp_path / "run", changes)["summary"]["removed"]["params"] >= 0.5


def test_weights_are_asked_for_as_safetensors(tmp_path: Path) -> None:
    def weights(name: str) -> Any:
        return convert(ini(tmp_path, {"pytorch_parameters": {"Pretrained": name}})).recipe["model"].get("weights")

    assert weights("/models/best-model.pth.tar") == "/models/best-model.safetensors"
    assert weights("runs/alexnet") == "runs/alexnet"
    assert weights("small.safetensors") == "small.safetensors"
    assert weights("None") is None


def test_schedules(tmp_path: Path) -> None:
    def schedule(**keys: str | None) -> dict[str, Any]:
        stage = convert(ini(tmp_path, {"training_hyperparameters": keys})).recipe["stages"][0]
        return {key: stage[key] for key in ("schedule", "rates", "lr", "milestones", "gamma") if key in stage}

    assert schedule(LR_Schedule="5 0.01") == {"schedule": "list", "rates": [[0, 0.1], [5, 0.01]], "gamma": 0.1}
    assert schedule(LR_Schedule="") == {"schedule": "constant", "lr": 0.1}
    steps = schedule(LR_Schedule="", LR_Scheduler="step", Step_Size="7")
    assert (steps["schedule"], steps["milestones"][:3]) == ("step", [7, 14, 21])


def test_a_random_seed_becomes_one_that_repeats(tmp_path: Path) -> None:
    made = convert(ini(tmp_path, {"pytorch_parameters": {"Manual_Seed": "-1"}}))
    assert made.recipe["seed"] == 0
    assert "Manual_Seed" in notes(made, "changed")
    assert recipe(convert(ini(tmp_path))).seed == 3


def test_the_later_library(tmp_path: Path) -> None:
    section = {"mode": "l1-norm", "subset_name": "aquatic", "pruning_perc": "[0.3, 0.6]", "model_path": "m.pth.tar"}
    path = ini(tmp_path, {"pruner": section})
    path.write_text(path.read_text().replace("[pruning_hyperparameters]", "[gone]"))
    with pytest.raises(ConfigError, match=r"\[gone\]: wanted a known section"):
        convert(path)
    before, _, after = path.read_text().partition("[gone]")
    path.write_text(before + "[pytorch_parameters]" + after.partition("[pytorch_parameters]")[2])
    made = convert(path)
    assert made.recipe["variants"] == {
        "p30": {"stages.0.remove.params": 0.3},
        "p60": {"stages.0.remove.params": 0.6},
    }
    assert made.recipe["stages"][0]["group_floors"] == "pruners"
    changes = {**SMALL, "model.weights": None, "stages.1.epochs": 1, "variants": None}
    assert carried_out(made, tmp_path / "run", changes)["summary"]["removed"]["params"] >= 0.3
