"""Studies of masks: learned, drawn, finetuned under, cut out; alone, resumed, refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from secateurs import models, recipes
from secateurs._errors import ConfigError, SecateursError
from secateurs.masks import UnitMasks
from secateurs.surgery import load
from tests.recipes._studies import config, recipe, weights

SCORES: dict[str, Any] = {
    "type": "scores",
    "epochs": 2,
    "lr": 0.5,
    "mask": {"rate": 0.5, "scope": "global", "protect": ["linear_last"]},
    "mask_warmup_epochs": 1,
}
PRETRAIN: dict[str, Any] = {"type": "train", "name": "pretrain", "epochs": 2, "lr": 0.05}
FINETUNE: dict[str, Any] = {"type": "finetune", "epochs": 2, "lr": 0.01}
COMPACT: dict[str, Any] = {"type": "compact"}
RESNET: dict[str, Any] = {"model": {"name": "resnet8"}}


def test_learned_channels_are_masked_finetuned_and_cut(tmp_path: Path) -> None:
    state = recipes.run(recipe(PRETRAIN, SCORES, FINETUNE, COMPACT, **RESNET), tmp_path / "run")
    scores, finetuned, cut = (state["stages"][index]["results"] for index in (1, 2, 3))
    masks = UnitMasks.load(tmp_path / "run/stages/01-scores/masks.safetensors")
    assert scores["mask"]["layers"] == masks.rates
    assert scores["mask"]["layers"]["linear"] == 0
    assert scores["mask"]["removed"] == pytest.approx(0.5, abs=0.05)
    assert cut["masked_difference"] < 1e-5
    assert cut["masked_and_left"] == {}
    assert cut["before"]["test_accuracy"] == cut["after"]["test_accuracy"] == finetuned["test_accuracy"]
    assert cut["after"]["macs"] < 0.7 * cut["before"]["macs"]
    assert state["summary"]["after"]["macs"] == cut["after"]["macs"]
    small = models.build("resnet8", channels=1)
    loaded = load(tmp_path / "run/stages/03-compact/model.safetensors", lambda: small)
    rows = loaded.get_parameter("layer1.0.conv1.weight").shape[0]
    assert rows == int(masks.units["layer1.0.conv1"].sum())


def test_finetuning_leaves_masked_weights_at_zero(tmp_path: Path) -> None:
    stages = (PRETRAIN, SCORES | {"mask": {"rate": 0.5, "granularity": "weight"}}, FINETUNE)
    recipes.run(recipe(*stages), tmp_path / "run")
    masks = UnitMasks.load(tmp_path / "run/stages/01-scores/masks.safetensors")
    model = models.build("mlp", widths=[32, 16], channels=1, size=8)
    before = load(tmp_path / "run/stages/01-scores/model.safetensors", lambda: model).state_dict()
    before = {name: value.clone() for name, value in before.items()}
    after = load(tmp_path / "run/stages/02-finetune/model.safetensors", lambda: model).state_dict()
    for name, kept in masks.units.items():
        weight = after[f"{name}.weight"]
        assert torch.equal(weight == 0, ~kept)
        assert not torch.equal(weight[kept], before[f"{name}.weight"][kept])


@pytest.mark.parametrize("killed", [0, 1, 2, 3])
def test_every_stage_resumes(tmp_path: Path, killed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    study = recipe(PRETRAIN, SCORES, FINETUNE, COMPACT, **RESNET)
    recipes.run(study, tmp_path / "whole")
    finish, count = recipes._directory.RunDirectory.finish_step, iter(range(10))

    def stop(*args: Any) -> None:
        if next(count) == killed:
            raise KeyboardInterrupt
        finish(*args)

    with monkeypatch.context() as patch:
        patch.setattr(recipes._directory.RunDirectory, "finish_step", stop)
        with pytest.raises(KeyboardInterrupt):
            recipes.run(study, tmp_path / "cut")
    recipes.run(study, tmp_path / "cut", recipes.RunOptions(resume=True))
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_stages_run_alone_from_the_files_of_others(tmp_path: Path) -> None:
    recipes.run(recipe(PRETRAIN), tmp_path / "first")
    model = {"name": "mlp", "options": {"widths": [32, 16]}}
    pretrained = model | {"weights": str(tmp_path / "first/stages/00-pretrain/model.safetensors")}
    recipes.run(recipe(SCORES, model=pretrained), tmp_path / "second")
    folder = tmp_path / "second/stages/00-scores"
    masked = model | {"weights": str(folder / "model.safetensors"), "masks": str(folder / "masks.safetensors")}
    state = recipes.run(recipe(FINETUNE | {"mask": SCORES["mask"]}, COMPACT, model=masked), tmp_path / "third")
    cut = state["stages"][1]["results"]
    assert cut["masked_difference"] < 1e-5
    masks = UnitMasks.load(folder / "masks.safetensors")
    assert {axis["name"]: axis["kept"] for axis in cut["axes"]} == {
        name: int(kept.sum()) for name, kept in masks.units.items() if name != "head"
    }


def test_finetuning_with_another_mask_than_was_made_is_refused(tmp_path: Path) -> None:
    other = FINETUNE | {"mask": SCORES["mask"] | {"rate": 0.7}}
    with pytest.raises(ConfigError, match=r"mask\.rate.*0\.5.*0\.7"):
        recipes.run(recipe(SCORES, other), tmp_path / "run")


def test_masks_of_another_network_are_refused(tmp_path: Path) -> None:
    recipes.run(recipe(SCORES), tmp_path / "first")
    masks = str(tmp_path / "first/stages/00-scores/masks.safetensors")
    other = {"name": "mlp", "options": {"widths": [24, 16]}, "masks": masks}
    with pytest.raises(ConfigError, match="masks of layer"):
        recipes.run(recipe(FINETUNE, model=other), tmp_path / "second")


@pytest.mark.parametrize(
    ("stages", "wanted"),
    [
        ((FINETUNE,), "makes masks"),
        ((COMPACT,), "makes masks"),
        (({"type": "random_mask", "same_rates": True},), "makes masks"),
        ((SCORES, {"type": "prune", "remove": {"macs": 0.5}}), "compact"),
        ((SCORES, COMPACT, FINETUNE), "makes masks"),
    ],
)
def test_stages_in_an_order_that_makes_no_sense_are_refused(stages: tuple[Any, ...], wanted: str) -> None:
    with pytest.raises(SecateursError, match=wanted):
        recipes.parse(config(*stages), source="small.yaml")


def test_single_weights_cannot_be_cut_out(tmp_path: Path) -> None:
    weightwise = SCORES | {"mask": {"granularity": "weight"}}
    with pytest.raises(ConfigError, match="channels"):
        recipes.run(recipe(weightwise, COMPACT), tmp_path / "run")


def test_random_masks_take_the_rates_of_learned_ones(tmp_path: Path) -> None:
    again = {"type": "random_mask", "same_rates": True}
    recipes.run(recipe(PRETRAIN, SCORES, again, FINETUNE, **RESNET), tmp_path / "run")
    learned = UnitMasks.load(tmp_path / "run/stages/01-scores/masks.safetensors")
    drawn = UnitMasks.load(tmp_path / "run/stages/02-random_mask/masks.safetensors")
    assert learned.rates == drawn.rates
    assert any(not torch.equal(learned.units[name], drawn.units[name]) for name in learned.units)
    assert drawn.origin == "random at the same rates"
    # Weights that the learned mask had set to zero are back where the new one leaves them.
    dense = models.build("resnet8", channels=1)
    pretrained = load(tmp_path / "run/stages/00-pretrain/model.safetensors", lambda: dense).state_dict()
    pretrained = {name: value.clone() for name, value in pretrained.items()}
    masked = load(tmp_path / "run/stages/02-random_mask/model.safetensors", lambda: dense).state_dict()
    kept = drawn.units["layer1.0.conv1"]
    assert torch.equal(masked["layer1.0.conv1.weight"][kept], pretrained["layer1.0.conv1.weight"][kept])
    assert not masked["layer1.0.conv1.weight"][~kept].any()


def test_random_masks_take_a_rate_for_each_layer(tmp_path: Path) -> None:
    drawn = {"type": "random_mask", "mask": {"rate": 0.25, "rates": [0.5]}}
    state = recipes.run(recipe(drawn, FINETUNE), tmp_path / "run")
    assert list(state["stages"][0]["results"]["mask"]["layers"].values()) == pytest.approx([0.5, 0.25, 0.2])


def test_learned_masks_of_untrained_weights_do_far_better_than_chance(tmp_path: Path) -> None:
    """The claim of the paper: a random network contains a good one."""
    learn = SCORES | {"epochs": 12, "lr": 0.5, "mask": {"rate": 0.5, "granularity": "weight"}, "mask_warmup_epochs": 0}
    wide = {"model": {"name": "mlp", "options": {"widths": [256, 256]}}, "data": {"name": "digits"}}
    state = recipes.run(recipe(learn, **wide), tmp_path / "run")
    assert state["stages"][0]["results"]["test_accuracy"] > 0.85


def test_a_large_network_memorises_shuffled_labels_and_learns_nothing(tmp_path: Path) -> None:
    """Zhang et al., 2017: judged by training accuracy, through all three steps."""
    shuffled = {
        "model": {"name": "mlp", "options": {"widths": [512, 256]}},
        "data": {"name": "digits", "limit": 300, "shuffle_labels": True},
    }
    train = {"type": "train", "epochs": 80, "lr": 0.1, "weight_decay": 0.0}
    scores = SCORES | {"epochs": 20, "mask": {"rate": 0.3, "granularity": "weight"}, "mask_warmup_epochs": 0}
    finetune = FINETUNE | {"epochs": 40, "lr": 0.05, "weight_decay": 0.0}
    state = recipes.run(recipe(train, scores, finetune, **shuffled), tmp_path / "run")
    dense, _, finetuned = (state["stages"][index]["results"] for index in range(3))
    assert dense["train_accuracy"] == finetuned["train_accuracy"] == 1.0
    assert dense["test_accuracy"] < 0.25
    assert finetuned["test_accuracy"] < 0.25
