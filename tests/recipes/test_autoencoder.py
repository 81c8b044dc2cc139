"""Studies of variational autoencoders: trained, cut, judged and shown."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from secateurs._errors import ConfigError
from secateurs._files import load_tensors
from secateurs.criteria import Random
from secateurs.data import DataOptions, load
from secateurs.graph import trace
from secateurs.recipes import Recipe, RunOptions, run
from secateurs.recipes._directory import RunDirectory
from secateurs.recipes._outlook import Outlook
from secateurs.recipes._part import Part
from secateurs.recipes._progress import StudyProgress
from secateurs.recipes._session import Session, open_session
from secateurs.recipes.objectives._classification import ClassificationPurpose
from secateurs.recipes.objectives._elbo import ElboPurpose
from secateurs.recipes.stages import expand
from secateurs.training import Elbo, evaluate_elbo
from tests.recipes._studies import recipe, weights

FASHION = Path(os.environ.get("SECATEURS_DATA", "")) / "fashion_mnist"
MODEL = {"name": "vae28", "options": {"filters": [4], "widths": [20, 10], "latent": 3}}
SCHEDULE: dict[str, Any] = {
    "type": "train_time",
    "initial_epochs": 3,
    "every": 1,
    "total_epochs": 5,
    "kinds": ["hidden"],
    "protect": ["decoder.spread"],
    "train": {"optimizer": "adam", "lr": 0.01, "weight_decay": 0.0, "precision": "32"},
}


def study(*stages: dict[str, Any], **values: Any) -> Recipe:
    return recipe(*(stages or (SCHEDULE,)), **{"model": MODEL, **values})


def read(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((path / "run.json").read_text())
    return state


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vae") / "run"
    run(study(), path)
    return path


def test_a_run_reports_the_bound_and_its_terms(finished: Path) -> None:
    state = read(finished)
    for side in (state["summary"]["before"], state["summary"]["after"]):
        assert side["test_elbo"] == pytest.approx(-side["test_reconstruction"] - side["test_kld"])
        assert "test_accuracy" not in side
    trained = [stage["results"] for stage in state["stages"] if stage["type"] == "train"]
    assert all({"train_elbo", "validation_elbo", "test_elbo", "test_kld"} <= results.keys() for results in trained)
    assert trained[0]["test_elbo"] == state["stages"][1]["results"]["before"]["test_elbo"]
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["train_accuracy"] is None
    assert -rows[-1]["validation_loss"] == trained[-1]["validation_elbo"]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]


def test_hidden_units_go_and_the_rest_stays(finished: Path) -> None:
    cuts = [stage["results"] for stage in read(finished)["stages"] if stage["type"] == "prune"]
    kept = [{axis["name"]: axis["kept"] for axis in results["axes"]} for results in cuts]
    units = {"encoder.hidden.0": 20, "encoder.hidden.1": 10, "decoder.hidden.0": 10, "decoder.hidden.1": 20}
    assert [[found[name] for name in units] for found in kept] == [[18, 9, 9, 18], [16, 8, 8, 16]]
    assert all(found["decoder.spread"] == found["encoder.convolutions.0"] == 4 for found in kept)
    assert all(results["verified"] < 1e-9 for results in cuts)


def test_the_figures_are_those_of_the_saved_network(finished: Path) -> None:
    session = opened(study(), finished)
    model = session.restored(len(session.steps))
    seen = evaluate_elbo(
        model,
        session.evaluation_batches(session.splits.test),
        Elbo(mean=session.splits.mean, std=session.splits.std),
        device="cpu",
    )
    assert seen.elbo == read(finished)["summary"]["after"]["test_elbo"]


def test_pictures_are_of_the_same_images_and_codes_before_and_after_every_cut(finished: Path) -> None:
    steps = [step.name for step in expand(study().stages) if step.stage.changes]
    found = [load_tensors(finished / "stages" / name / "pictures.safetensors")[0] for name in steps]
    assert len(found) == 5
    assert {tuple(tensor.shape) for tensors in found for tensor in tensors.values()} == {(12, 1, 8, 8)}
    assert all(torch.equal(tensors["images"], found[0]["images"]) for tensors in found)
    assert found[0]["images"].float().std() > 50
    assert not torch.equal(found[0]["samples"], found[1]["samples"])
    session = opened(study(), finished)
    model, images = session.restored(len(session.steps)).eval(), session.first_images()[:12]
    with torch.no_grad():
        shown = model(images)[0].sigmoid() * 255
    assert (shown - found[-1]["reconstructions"]).abs().max() <= 0.5 + 1e-3
    assert {path.name for path in (finished / "plots").iterdir()} == {
        "kept.png",
        "reconstructions.png",
        "samples.png",
        "training.png",
    }


def test_equal_seeds_give_equal_networks(finished: Path, tmp_path: Path) -> None:
    run(study(), tmp_path / "again")
    assert weights(tmp_path / "again") == weights(finished)


def test_cuts_end_once_the_bound_is_worse_by_a_fraction(tmp_path: Path) -> None:
    harsh = {**SCHEDULE, "initial_epochs": 6, "total_epochs": 10, "ratio": 0.9, "stop": {"worsening": 0.001}}
    run(study(harsh), tmp_path)
    stages = read(tmp_path)["stages"]
    seen = [stage["results"]["validation_elbo"] for stage in stages if stage["type"] == "train"]
    bad = [bound < 1.001 * seen[0] < 0 for bound in seen[:-1]]
    cuts = [stage["results"].get("stopped") for stage in stages if stage["type"] == "prune"]
    assert [reason is not None for reason in cuts] == [any(bad[: index + 1]) for index in range(len(bad))]
    assert cuts[0] is None
    assert cuts[-1] == f"validation elbo fell from {seen[0]:.6g} to {seen[bad.index(True)]:.6g}"


def test_an_autoencoder_has_no_accuracy_to_drop() -> None:
    with pytest.raises(ConfigError, match=r"`stop\.worsening` in 01-prune, because 'elbo' knows no accuracy"):
        study({**SCHEDULE, "stop": {"accuracy_drop": 0.02}})


def test_a_study_compares_its_variants_by_the_bound(tmp_path: Path) -> None:
    variants = {"none": {"stages.0.initial_epochs": 5}, "random": {"stages.0.choice": "random"}}
    state = run(study(variants=variants), tmp_path / "study", RunOptions())
    found = state["summary"]["variants"]
    assert found["none"]["after"]["test_elbo"]["runs"] == 1
    assert found["random"]["after"]["params"]["mean"] < found["none"]["after"]["params"]["mean"]
    assert "test, nats" in (tmp_path / "study" / "cuts.md").read_text()


def test_the_objective_follows_from_the_network() -> None:
    assert study().purpose == study(objective="elbo").purpose == "elbo"
    assert recipe().purpose == "classification"
    assert recipe(model={"factory": "my.nets:make"}, objective="elbo").purpose == "elbo"
    with pytest.raises(ConfigError, match="no `objective`, or 'elbo', which vae28 is made for"):
        study(objective="classification")


def test_labels_cannot_be_smoothed_without_any(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.label_smoothing: wanted 0, got 0\.1"):
        run(study({"type": "train", "epochs": 1, "label_smoothing": 0.1}), tmp_path / "run")


def test_criteria_get_a_loss_that_fits_their_batches(finished: Path) -> None:
    session = opened(study(), finished)
    objective = session.objective
    assert isinstance(objective, ElboPurpose)
    batches, loss = objective.for_scores(session.evaluation_batches(session.splits.test))
    model = session.restored(len(session.steps)).eval()
    pairs = list(batches)
    assert all(torch.equal(images, targets) for images, targets in pairs)
    value = loss(model(pairs[0][0]), pairs[0][1])
    value.backward()
    assert value.item() > 0
    assert all(parameter.grad is not None for parameter in model.parameters())
    graph = trace(model, args=(pairs[0][0],))
    assert Random()(graph, batches=batches, loss=loss).keys() == {axis.name for axis in graph.axes}


def test_classifiers_have_no_pictures() -> None:
    assert ClassificationPurpose(load(DataOptions(name="digits"))).pictures(nn.Flatten(), torch.zeros(1, 1, 8, 8)) == {}


def opened(made: Recipe, path: Path) -> Session:
    """The recipe's data and network, with the files of the run in `path`."""
    directory = RunDirectory.open(path, made.resolved(), resume=True)
    part = Part(name="", home=path, progress=StudyProgress(Outlook([]), shown=False))
    return open_session(made, directory, part=part, notify=lambda _line: None)


@pytest.mark.slow
@pytest.mark.skipif(not FASHION.exists(), reason="SECATEURS_DATA with fashion_mnist is not here")
def test_a_third_of_the_units_goes_on_real_images_and_importance_dips_least(tmp_path: Path) -> None:
    schedule = {**SCHEDULE, "total_epochs": 7, "train": {**SCHEDULE["train"], "lr": 0.001, "schedule": "cosine"}}
    variants = {
        "none": {"stages.0.initial_epochs": 7},
        "importance": {},
        "random": {"stages.0.choice": "random"},
        "worst": {"stages.0.choice": "top"},
    }
    made = recipe(
        schedule,
        model={"name": "vae28"},
        data={"path": str(FASHION), "limit": 4000},
        batches={"size": 64},
        variants=variants,
    )
    found = run(made, tmp_path / "study")["summary"]["variants"]
    bounds = {name: sides["after"]["test_elbo"]["mean"] for name, sides in found.items()}
    assert bounds["importance"] > 1.02 * bounds["none"]
    assert bounds["worst"] < min(bounds["importance"], bounds["random"])
    dips = {name: _dips(tmp_path / "study" / name / "0") for name in ("importance", "random", "worst")}
    for important, drawn, worst in zip(*dips.values(), strict=True):
        assert important < drawn / 2 < worst / 4


def _dips(path: Path) -> list[float]:
    """What each cut costs at once, in nats."""
    cuts = [stage["results"] for stage in read(path)["stages"] if stage["type"] == "prune"]
    return [results["before"]["test_elbo"] - results["after"]["test_elbo"] for results in cuts]
