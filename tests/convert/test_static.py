"""config.json of the static and dynamic framework converts and runs."""

from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.convert import convert
from tests.convert._files import static
from tests.convert._run import carried_out


def test_cuts_and_trainings_in_turns(tmp_path: Path) -> None:
    made = convert(static(tmp_path))
    assert made.recipe["model"] == {"name": "resnet32x4"}
    assert made.recipe["data"] == {"name": "cifar100", "validation_ratio": 0.1}
    rounds, last, _ = made.recipe["stages"]
    assert rounds["times"] == 2
    assert rounds["stages"][0] == {
        "type": "eigen",
        "remove": {"units": 0.3},
        "order": "importance",
        "limit": 0.5,
        "normalize": False,
        "ekfac": False,
        "method": "directions",
        "stop": {"accuracy_drop": 0.01},
    }
    assert (last["epochs"], last["rates"]) == (4, [[0, 0.001], [2, pytest.approx(1e-4)], [3, pytest.approx(1e-5)]])
    changes: dict[str, Any] = {"model.name": "resnet8", "model.options": {"width": 0.5}, "stages.1.epochs": 1}
    # At once, so that the second cut is made whatever the first has cost.
    changes |= {"stages.0.stages.0.stop": None, "batches.crop": 1, "stages.1.rates": [[0, 0.001]]}
    state = carried_out(made, tmp_path / "run", changes)
    cuts = [stage for stage in state["stages"] if stage["name"].endswith("eigen")]
    assert [stage["results"]["removed"]["units"] >= 0.3 for stage in cuts] == [True, True]


def test_options_of_the_factors_and_of_the_cut(tmp_path: Path) -> None:
    framework = {"fisher_type": "true", "sua": True, "ma": 0.9, "regularization": 0.001}
    made = convert(static(tmp_path, **framework, correct_eigenvalues=True, decomp_method="tucker", normalize=True))
    cut = made.recipe["stages"][0]["stages"][0]
    wanted = {"fisher": "true", "inputs": "channel", "decay": 0.9, "damping": 0.001}
    assert {name: cut[name] for name in wanted} == wanted
    assert (cut["ekfac"], cut["method"], cut["normalize"]) == (True, "tucker", True)
    patch = convert(static(tmp_path, sua=False, prune_ratio_limit=1))
    assert patch.recipe["stages"][0]["stages"][0]["inputs"] == "patch"
    said = {note.key: note.kind for note in patch.notes}
    assert said["use_full_cov_a"] == said["prune_ratio_limit"] == "changed"
    assert "use_full_cov_a" not in {note.key for note in convert(static(tmp_path, sua=False, use_full_cov_a=1)).notes}


def test_what_has_no_counterpart_is_named(tmp_path: Path) -> None:
    made = convert(static(tmp_path, back_ratio=0.25, alpha=0.1, scheduler_id=2, log_interval=5))
    said = {note.key: note.kind for note in made.notes}
    assert said["back_ratio"] == said["alpha"] == said["pruner_id"] == said["log_interval"] == "dropped"
    assert said["scheduler_id"] == said["prune_ratio"] == "changed"
    assert made.recipe["stages"][1]["schedule"] == "constant"


def test_depth_and_size(tmp_path: Path) -> None:
    made = convert(static(tmp_path, depth=38, resize=16))
    assert made.recipe["model"] == {"name": "resnet38", "options": {"width": 4.0, "shortcut": "B"}}
    assert made.recipe["data"]["resize"] == 16


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"network": "pyramidnet"}, r"config\.json, network: wanted one of resnet, got 'pyramidnet'"),
        (
            {"depth": 33},
            r"depth: wanted the depth of a resnet that is here, got 33\. The nearest is 32; all are 8, 20, ",
        ),
        ({"depth": "deep"}, r"depth: wanted a number of at least 1, got"),
        ({"prune_ratios": 0.3}, r"wanted a known key, got 'prune_ratios'\. Did you mean 'prune_ratio'\?"),
        ({"prune_ratio": 1.5}, r"prune_ratio: wanted a number of at least 0 and of at most 1, got 1\.5"),
        ({"prune_ratio": True}, r"prune_ratio: wanted a number"),
        ({"prune_ratio_limit": 0}, r"prune_ratio_limit: wanted a fraction above 0"),
        ({"fisher_type": "exact"}, r"fisher_type: wanted one of true, empirical, got 'exact'"),
        ({"ma": 1}, r"ma: wanted a number of at least 0 and below 1"),
        ({"data_dir": "/data/svhn"}, r"data_dir: wanted a folder called cifar_10 or cifar_100"),
        ({"scheduler_params": [1]}, r"scheduler_params: wanted fractions of the epochs"),
        ({"lr": [1]}, r"lr: wanted one value, got \[1\]"),
        ({"prune_ratio": None}, r"prune_ratio: wanted a value for prune_ratio, got nothing\. Add the key\."),
    ],
)
def test_values_that_make_no_sense(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        convert(static(tmp_path, **changes))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "wanted JSON"),
        ("[]", "a mapping"),
        ('{"lr": NaN}', "wanted JSON"),
        ('{"lr": 1, "lr": 2}', "same key twice"),
    ],
)
def test_malformed_files(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=match):
        convert(tmp_path / "config.json")
