"""Iterative pruning in levels: what goes, what is written, and that a run goes on where it stopped."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs._files import load_tensors
from secateurs.recipes import Recipe, RunOptions, run
from secateurs.recipes.stages import expand
from tests.recipes._studies import TRAIN, read_json, recipe
from tests.recipes.test_kill import essence

L1: dict[str, Any] = {"name": "magnitude", "options": {"p": 1}}
LEVELS: dict[str, Any] = {
    "type": "levels",
    "ratio": 0.2,
    "levels": 2,
    "criterion": L1,
    "protect": ["conv1"],
    "observe": False,
    "train": {"epochs": 1, "patience": 1},
}
SMALL: dict[str, Any] = {
    "model": {"name": "resnet8", "options": {"width": 0.5}},
    "data": {"name": "digits", "limit": 200, "validation_ratio": 0.2},
}
END: dict[str, Any] = {"type": "measure", "latency": False}
LAYERS = [f"layer{stage}.0.conv{number}" for stage in (1, 2, 3) for number in (1, 2)]
SIZES = dict(zip(LAYERS, (8, 8, 16, 16, 32, 32), strict=True))
VARIANTS: dict[str, Any] = {
    "cut": {},
    "mask": {"stages.1.mode": "mask"},
    "random": {"stages.1.choice": "random"},
    "magnitude": {"stages.1.mode": "weights", "stages.1.like": "cut"},
}


def study(**changes: Any) -> Recipe:
    """Levels of a small residual network on digits."""
    return recipe(stages=[TRAIN, {**LEVELS, **changes}, END], **SMALL)


def levels(path: Path) -> list[dict[str, Any]]:
    """Results of the levels of a run."""
    kinds = ("level", "level_mask", "level_weights")
    return [stage["results"] for stage in read_json(path / "run.json")["stages"] if stage["type"] in kinds]


def removed(path: Path) -> Mapping[str, Mapping[str, list[int]]]:
    """The seed's file of units."""
    found: Mapping[str, Mapping[str, list[int]]] = read_json(path / "exp__0" / "pruned_indices.json")
    return found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("levels") / "study"
    run(recipe(stages=[TRAIN, LEVELS, END], variants=VARIANTS, seeds=[0], **SMALL), path)
    return path


def test_levels_are_written_out_as_published() -> None:
    config = {"type": "levels", "train": {}}
    flat = [step.stage for step in expand(recipe(TRAIN, config, **SMALL).stages)]
    assert [stage.type for stage in flat] == ["train", *["level", "train", "level_end"] * 18, "measure"]
    targets = [stage.target for stage in flat if stage.type == "level"]  # type: ignore[attr-defined]
    assert targets[:4] == [5.0, 9.75, 14.26, 18.55]
    assert targets[-1] == 60.28
    trained = flat[2]
    facts = {name: getattr(trained, name) for name in ("epochs", "lr", "momentum", "weight_decay", "patience")}
    assert facts == {"epochs": 150, "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4, "patience": 30}


def test_units_go_by_count_and_by_their_original_indices(done: Path) -> None:
    for variant in ("cut", "mask", "random"):
        results = levels(done / variant / "0")
        assert [result["removed_count"] for result in results] == [23, 18]
        assert [result["units"] for result in results] == [112, 112]
        assert results[-1]["sparsity"] == pytest.approx(100 * 41 / 112)
        pruned = removed(done / variant / "0")
        assert [*pruned] == ["0", "1"]
        left = dict(SIZES)
        for level, result in enumerate(results):
            assert result["removed_units"] == pruned[str(level)]
            left = {layer: left[layer] - len(pruned[str(level)][layer]) for layer in LAYERS}
            assert result["kept_units"] == left
        for layer in LAYERS:
            assert not set(pruned["0"][layer]) & set(pruned["1"][layer])


def test_the_first_level_takes_the_smallest_filters_of_the_trained_network(done: Path) -> None:
    weights, _ = load_tensors(done / "cut" / "0" / "stages" / "00-train" / "model.safetensors")
    order = sorted(
        (float(row.abs().sum()), layer, unit)
        for layer in LAYERS
        for unit, row in enumerate(weights[f"{layer}.weight"].double())
    )
    # Every layer keeps its two largest filters, however small they are.
    ranked = {layer: [unit for _, name, unit in order if name == layer] for layer in LAYERS}
    smallest = [(layer, unit) for _, layer, unit in order if unit not in ranked[layer][-2:]]
    taken = {(layer, unit) for layer, units in removed(done / "cut" / "0")["0"].items() for unit in units}
    assert taken == set(smallest[:23])


def test_cut_and_masked_networks_are_the_same_network(done: Path) -> None:
    cut, mask = levels(done / "cut" / "0")[0], levels(done / "mask" / "0")[0]
    assert cut["removed_units"] == mask["removed_units"]
    assert cut["after"]["test_accuracy"] == mask["after"]["test_accuracy"]
    assert cut["after"]["params"] < cut["before"]["params"] == mask["after"]["params"]
    assert cut["verified"] < 1e-9


def test_masks_silence_the_norm_behind_a_unit(done: Path) -> None:
    run_ = done / "mask" / "0"
    weights, _ = load_tensors(run_ / "exp__0" / "ckpts" / "pruned_retrained_model_1.safetensors")
    for layer, units in removed(run_)["0"].items():
        norm = layer.replace("conv", "bn")
        for name in (f"{layer}.weight", f"{norm}.weight", f"{norm}.bias"):
            assert not weights[name][units].any()
    assert all(weights[f"{layer}.weight"].any() for layer in LAYERS)


def test_single_weights_are_as_many_as_the_cut_took(done: Path) -> None:
    dense, _ = load_tensors(done / "cut" / "0" / "stages" / "00-train" / "model.safetensors")
    convolutions = [name for name, tensor in dense.items() if tensor.dim() == 4]
    asked = 0
    for level, result in enumerate(levels(done / "magnitude" / "0")):
        small, _ = load_tensors(done / "cut" / "0" / "stages" / f"{3 * level + 1:02d}-level" / "model.safetensors")
        gone = sum(dense[name].numel() - small[name].numel() for name in convolutions)
        asked += result["asked_units"]
        assert asked == gone
        masked, _ = load_tensors(
            done / "magnitude" / "0" / "stages" / f"{3 * level + 2:02d}-train" / "model.safetensors"
        )
        assert sum(int((masked[name] == 0).sum()) for name in convolutions) == gone


def test_lots_take_what_they_say(done: Path) -> None:
    run_ = done / "random" / "0"
    whole, _ = load_tensors(run_ / "stages" / "00-train" / "model.safetensors")
    small, _ = load_tensors(run_ / "stages" / "01-level" / "model.safetensors")
    for layer in ("layer1.0.conv1", "layer2.0.conv1", "layer3.0.conv1"):
        kept = [unit for unit in range(SIZES[layer]) if unit not in removed(run_)["0"][layer]]
        assert small[f"{layer}.weight"].equal(whole[f"{layer}.weight"][kept])


def test_weights_counted_as_published_are_counted_layer_by_layer(done: Path, tmp_path: Path) -> None:
    file = done / "cut" / "0" / "exp__0" / "pruned_indices.json"
    run(study(mode="weights", like=str(file), counting="listed", levels=1), tmp_path / "run")
    shapes = dict(zip(LAYERS, ((8, 8), (8, 8), (16, 8), (16, 16), (32, 16), (32, 32)), strict=True))
    outputs = [shapes[layer][0] for layer in LAYERS[1:]] + [0]
    gone = removed(done / "cut" / "0")["0"]
    counts = [9 * len(gone[layer]) * (shapes[layer][1] + after) for layer, after in zip(LAYERS, outputs, strict=True)]
    assert levels(tmp_path / "run")[0]["asked_units"] == sum(counts)


def test_the_magnitude_variant_needs_its_sibling(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"levels\.like: wanted levels 0 to 0 in .*cut.0.exp__0.pruned_indices\.json"):
        run(study(mode="weights", like="cut"), tmp_path / "run")


def test_half_goes_from_each_end(done: Path, tmp_path: Path) -> None:
    run(study(choice="hybrid", levels=1), tmp_path / "run")
    both, low = (
        {(layer, unit) for layer, units in removed(path)["0"].items() for unit in units}
        for path in (tmp_path / "run", done / "cut" / "0")
    )
    assert len(both) == len(low) == 23
    assert len(both & low) == 12


class _StoppedError(Exception):
    """What interrupts a run in a test."""


@pytest.mark.parametrize(
    ("variant", "place"), [("cut", "04-level:"), ("mask", "05-train"), ("magnitude", "06-level_end")]
)
def test_a_run_stopped_in_a_level_ends_with_the_same_files(
    done: Path, tmp_path: Path, variant: str, place: str
) -> None:
    changes = {key.removeprefix("stages.1."): value for key, value in VARIANTS[variant].items()}
    if variant == "magnitude":
        # A file does as well as a variant.
        changes["like"] = str(shutil.copy(done / "cut" / "0" / "exp__0" / "pruned_indices.json", tmp_path))

    def stop(line: str) -> None:
        if line.startswith(place):
            raise _StoppedError

    out = tmp_path / "run"
    with pytest.raises(_StoppedError):
        run(study(**changes), out, RunOptions(notify=stop))
    assert read_json(out / "run.json")["status"] == "failed"
    run(study(**changes), out, RunOptions(resume=True))
    _same_files(done / variant / "0", out)


def _same_files(whole: Path, out: Path) -> None:
    """All but what says which variant of which study it was."""
    one, other = essence(whole), essence(out)
    assert one.keys() == other.keys()
    for name, content in one.items():
        if name not in ("config.yaml", "run.json"):
            assert other[name] == content, name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "weights"}, "`like` with mode `weights`"),
        ({"like": "cut"}, "`like` with mode `weights`"),
        ({"mode": "weights", "like": "cut", "choice": "high"}, "choice `low` with mode `weights`"),
        ({"criterion": {"name": "unitmem", "options": {"rest": "median"}}}, "options of criterion unitmem"),
        ({"activations": "json"}, "`activations` with `observe`"),
        ({"ratio": 1.5}, "less than 1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        study(**changes)


def test_pretraining_can_be_left_out_for_a_network_that_is_loaded(done: Path, tmp_path: Path) -> None:
    trained = done / "cut" / "0" / "stages" / "00-train" / "model.safetensors"
    pretrain = {"type": "repeat", "times": 0, "stages": [TRAIN]}
    config = {**SMALL, "model": {**SMALL["model"], "weights": str(trained)}}
    run(recipe(stages=[pretrain, {**LEVELS, "levels": 1}, END], **config), tmp_path / "run")
    assert removed(tmp_path / "run")["0"] == removed(done / "cut" / "0")["0"]


def test_files_are_json_of_the_published_structure(done: Path) -> None:
    content = json.loads((done / "cut" / "0" / "exp__0" / "pruned_indices.json").read_text())
    assert {*content["0"]} == {*LAYERS}
    names = sorted(file.name for file in (done / "cut" / "0" / "exp__0" / "ckpts").iterdir())
    assert names == ["pruned_retrained_model_0.safetensors", "pruned_retrained_model_1.safetensors"]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("levels") / "unitmem"
    unitmem = {"images": 12, "augmentations": 2, "batch": 5}
    run(study(criterion="unitmem", observe=True, unitmem=unitmem, activations="json"), path)
    return path


def test_unitmem_decides_and_is_kept_with_its_images(seen: Path) -> None:
    file = json.loads((seen / "exp__0" / "Avg_UnitMems_perlevel.json").read_text())
    pruned, results = removed(seen), levels(seen)
    assert {layer: len(pairs) for layer, pairs in file["1"].items()} == SIZES
    scored = sorted((value, LAYERS.index(layer)) for layer in LAYERS for value, _ in file["0"][layer])
    gone = [file["0"][layer][unit][0] for layer in LAYERS for unit in pruned["0"][layer]]
    # Nothing that went has more than what the order says; floors may have spared some units.
    assert sorted(gone)[:10] == [value for value, _ in scored[:10]]
    for layer in LAYERS:
        for unit, (value, image) in enumerate(file["1"][layer]):
            assert (image == -1) >= (unit in pruned["0"][layer])
            assert 0 <= value <= 1
    assert results[0]["mean_unitmem"] == pytest.approx(sum(value for value, _ in scored) / 112)
    left = [value for layer in LAYERS for u, (value, _) in enumerate(file["1"][layer]) if u not in pruned["0"][layer]]
    assert results[1]["mean_unitmem"] == pytest.approx(sum(left) / len(left))


def test_files_of_levels_have_units_images_and_activations(seen: Path) -> None:
    activations = json.loads((seen / "exp__0" / "All_activations.json").read_text())
    lists = []
    for level, name in enumerate(("01-level", "04-level")):
        tensors, _ = load_tensors(seen / "stages" / name / "unitmem.safetensors")
        lists.append(tensors["indices"].tolist())
        for layer in LAYERS:
            units = tensors[f"{layer}.units"].tolist()
            before = removed(seen)["0"][layer] if level else []
            assert units == [unit for unit in range(SIZES[layer]) if unit not in before]
            mu = tensors[f"{layer}.activations"]
            assert mu.shape == (12, len(units))
            assert mu.tolist() == activations[str(level)][layer]
            for column, image in zip(mu.T, tensors[f"{layer}.images"].tolist(), strict=True):
                assert image == (-1 if not column.any() else tensors["indices"][int(column.argmax())])
    assert lists[0] != lists[1]
