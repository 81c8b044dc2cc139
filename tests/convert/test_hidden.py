"""Every step of the neuron-pruning fork converts, with the flags of its command line, and runs."""

from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.convert import Conversion, convert
from tests.convert._files import fork
from tests.convert._run import carried_out

SMALL: dict[str, Any] = {"model.options": {"width": 0.125}, "batches.crop": 1, "data.classes": None}
PRUNING = ("--exp_mode", "pruning", "--prune-rate", "0.5", "--pmode", "channel")


def types(made: Conversion) -> list[str]:
    return [stage["type"] for stage in made.recipe["stages"]]


def test_pretraining_fine_tuning_and_pruning_go_on_from_each_other(tmp_path: Path) -> None:
    """The three commands of the fork's page, one after another."""
    path = fork(tmp_path)
    first = convert(path, ["--exp_mode", "pretraining"])
    assert types(first) == ["train", "measure"]
    carried_out(first, tmp_path / "a", SMALL)
    second = convert(path, [*PRUNING, "--epochs", "1", "--resume", "runs/a.pth"])
    assert (second.recipe["name"], types(second)) == ("conv2_channel_pruning", ["scores", "measure"])
    scores = carried_out(second, tmp_path / "b", SMALL | {"model.weights": str(tmp_path / "a")})
    assert scores["stages"][0]["results"]["mask"]["asked"] == 0.5
    flags = ["--exp_mode", "finetuning", "--lr", "0.01", "--resume", "runs/b.pth", *PRUNING[2:]]
    third = convert(path, flags)
    assert third.recipe["model"] == {
        "name": "conv2",
        "weights": "runs/b.safetensors",
        "masks": "runs/masks.safetensors",
    }
    left = tmp_path / "b/stages/00-scores"
    files = {"model.weights": str(left / "model.safetensors"), "model.masks": str(left / "masks.safetensors")}
    tuned = carried_out(third, tmp_path / "c", SMALL | files)
    assert tuned["stages"][0]["results"]["epochs"] == 2
    assert third.recipe["stages"][0]["lr"] == 0.01


def test_all_three_steps_are_one_recipe(tmp_path: Path) -> None:
    made = convert(fork(tmp_path), PRUNING[2:])
    assert types(made) == ["train", "scores", "finetune", "measure"]
    assert [stage.get("epochs") for stage in made.recipe["stages"]] == [2, 50, 50, None]
    changes = {"stages.1.epochs": 1, "stages.2.epochs": 1}
    assert carried_out(made, tmp_path / "run", SMALL | changes)["status"] == "finished"


def test_dropping_at_random_with_rates_of_layers(tmp_path: Path) -> None:
    flags = ["--exp_mode", "finetuning", "--prandom", "--prune-rate", "0.5", "--pmode", "channel", "--pscale", "global"]
    made = convert(fork(tmp_path), [*flags, "--prlist", "0.1", "0.2", "--protect", "linear_last"])
    mask = {"rate": 0.5, "granularity": "channel", "rates": [0.1, 0.2], "protect": ["linear_last"]}
    assert made.recipe["stages"][0] == {"type": "random_mask", "mask": mask}
    assert "overruled: pscale = global" in made.text()
    state = carried_out(made, tmp_path / "run", SMALL)
    assert state["stages"][0]["results"]["mask"]["origin"] != "learned"


def test_dense_training_and_evaluating(tmp_path: Path) -> None:
    assert types(convert(fork(tmp_path, conv_type="DenseConv"))) == ["train", "measure"]
    made = convert(fork(tmp_path), ["--evaluate", "--pretrained", "a.pth"])
    assert (types(made), made.recipe["model"]["weights"]) == (["measure"], "a.safetensors")


def test_the_mask(tmp_path: Path) -> None:
    flags = [*PRUNING, "--pscale", "global", "--rank_method", "relevant", "--whether_abs", "nobas", "--gp_warm_up"]
    stage = convert(fork(tmp_path, score_init="normal"), flags).recipe["stages"][0]
    assert stage["mask"] == {
        "rate": 0.5,
        "granularity": "channel",
        "scope": "global",
        "rank": "relevant",
        "signed": True,
    }
    assert (stage["score_init"], stage["mask_warmup_epochs"]) == ("uniform", 20)
    layerwise = convert(fork(tmp_path), [*PRUNING, "--gp_warm_up", "--gp_warm_up_epoch", "3"])
    assert "mask_warmup_epochs" not in layerwise.recipe["stages"][0]
    assert "overruled: gp_warm_up" in layerwise.text()


def test_shuffled_labels_need_a_seed_as_in_the_fork(tmp_path: Path) -> None:
    made = convert(fork(tmp_path), [*PRUNING, "--shuffle", "1", "--seed", "7"])
    assert (made.recipe["data"]["shuffle_labels"], made.recipe["data"]["split_seed"], made.recipe["seed"]) == (
        True,
        7,
        7,
    )
    with pytest.raises(ConfigError, match=r"seed: wanted the seed that labels are shuffled by, got nothing"):
        convert(fork(tmp_path, seed=None), [*PRUNING, "--shuffle", "1"])


def test_the_command_line_has_the_last_word_in_any_spelling(tmp_path: Path) -> None:
    path = fork(tmp_path)
    flags = ["--exp-mode", "pretraining"]
    long = convert(path, [*flags, "--learning-rate", "0.02", "--batch_size", "8", "--multigpu=0,1"])
    short = convert(path, [*flags, "--lr=0.02", "-b", "8", "--multigpu", "0,1"])
    assert long.recipe == short.recipe
    assert (long.recipe["stages"][0]["lr"], long.recipe["devices"]) == (0.02, 2)
    assert "overruled: lr = 0.1: the command line says 0.02" in long.text()


def test_networks_data_and_schedules(tmp_path: Path) -> None:
    wide = convert(fork(tmp_path, arch="Conv4Wide", width_mult=0.5), ["--exp_mode", "pretraining"])
    assert wide.recipe["model"] == {"name": "conv4", "options": {"width": 0.5}}
    digits = convert(fork(tmp_path, arch="FC", set="MNIST"), ["--exp_mode", "pretraining"])
    assert (digits.recipe["model"]["name"], digits.recipe["data"]["name"]) == ("mlp", "mnist")
    assert "crop" not in digits.recipe["batches"]
    flags = ["--exp_mode", "pretraining", "--lr-policy", "multistep_lr", "--multistep-lr-adjust", "3", "--epochs", "9"]
    stage = convert(fork(tmp_path), flags).recipe["stages"][0]
    assert (stage["schedule"], stage["milestones"], stage["gamma"]) == ("step", [3, 6], 0.1)


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        (["--prune-rat", "0.5"], r"--prune-rat: wanted a known key, got 'prune_rat'\. Did you mean 'prune_rate'\?"),
        (["0.5"], r"0\.5: wanted a flag such as --prune-rate"),
        (["--lr", "1", "--lr", "2"], r"--lr: wanted each flag once, got it twice"),
        (PRUNING[:2], r"conv2\.yml, prune_rate: wanted a number of at least 0 and of at most 1, got -1"),
        ([*PRUNING[:2], "--prune-rate", "k"], r"prune_rate: wanted a number .*, got 'k'"),
        ([*PRUNING[:2], "--prune-rate", "1"], r"prune_rate: wanted the fraction removed, less than 1"),
        (["--exp_mode", "prunning"], r"exp_mode: wanted one of pretraining, .* Did you mean 'pruning'\?"),
        ([*PRUNING, "--pmode=chanel"], r"--pmode=chanel: wanted each flag once"),
        (["--exp_mode", "finetuning", *PRUNING[2:]], r"resume: wanted what the step before has left.*, got nothing"),
        ([*PRUNING, "--multigpu", "gpu_form"], r"multigpu: wanted numbers of GPUs, such as 0,1, got 'gpu_form'"),
        ([*PRUNING, "--prlist", "a"], r"prlist: wanted numbers, got 'a'"),
        (["--arch", "Conv5", *PRUNING], r"arch: wanted one of Conv2.*Did you mean 'Conv\d'\?"),
        (["--set", "ImageNet", *PRUNING], r"set: wanted one of CIFAR10, CIFAR100, MNIST, got 'ImageNet'"),
    ],
)
def test_mistakes_on_the_command_line(tmp_path: Path, flags: list[str], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        convert(fork(tmp_path), flags)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("- 1\n", r"wanted a mapping of keys to values, got list"),
        ("epoch: 3\n", r"old\.yml, epoch: wanted a known key, got 'epoch'\. Did you mean 'epochs'\?"),
        ("epochs: {a: 1}\n", r"old\.yml, epochs: wanted one value, got a dict"),
        ("lr: !!python/object/apply:os.system [ls]\n", r"old\.yml, line 1"),
        ("lr: 1\nlr: 2\n", r"line 2.* stands here twice"),
        ("lr: [1\n", r"wanted YAML"),
    ],
)
def test_malformed_files(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "old.yml").write_text(text)
    with pytest.raises(ConfigError, match=match):
        convert(tmp_path / "old.yml", PRUNING)
