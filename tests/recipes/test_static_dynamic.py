"""The ready study `static_dynamic`, small: a gated network is cut in the eigenbasis, and its gates learn on what is
left."""

from pathlib import Path
from typing import Any

import pytest

from secateurs import load, models
from secateurs._files import load_tensors
from secateurs.dynamic import gates_of
from secateurs.eigen import Bottleneck
from secateurs.recipes import find_recipe, parse, read_yaml, run
from secateurs.recipes.stages import expand
from secateurs.reporting import read_run
from secateurs.reporting._compute import compute_figure, compute_rows, compute_table
from secateurs.reporting._record import lasting
from tests.recipes._studies import read_json

SMALL: dict[str, Any] = {
    "data": {"name": "digits", "limit": 300, "validation_ratio": 0.2},
    "model": {"name": "resnet8", "options": {"width": 0.5}},
    "batches": {"size": 32, "crop": 1},
    "device": "cpu",
    "threads": 1,
    "stages.0.supervised.epochs": 1,
    "stages.0.supervised.train.milestones": [1],
    "stages.1.times": 2,
    "stages.1.hold.accuracy_drop": 0.9,
    "stages.1.stages.1.epochs": 1,
    "stages.2.stages.0.epochs": 1,
    "stages.3.times": 1,
    "stages.3.hold.accuracy_drop": 0.9,
    "stages.3.stages.0.reinforce.epochs": 1,
    "stages.4.latency": False,
    "variants.dense.stages.0.epochs": 1,
    "variants.unit_pruning.stages.0.epochs": 1,
    "variants.static_only.stages.0.epochs": 1,
    **{f"variants.{name}.stages.0.milestones": [1] for name in ("dense", "unit_pruning", "static_only")},
}


def study(out: Path, *left_out: str) -> Path:
    """The study without some of its variants."""
    content = read_yaml(find_recipe("static_dynamic"))
    for name in left_out:
        del content["variants"][name]
    unused = tuple(f"variants.{name}." for name in left_out)
    changes = {key: value for key, value in SMALL.items() if not key.startswith(unused)}
    run(parse(content, source="static_dynamic", changes=changes), out)
    return out


@pytest.mark.slow
def test_a_gated_network_is_cut_and_its_gates_learn_on(tmp_path: Path) -> None:
    out = study(tmp_path / "study", "unit_pruning", "static_only", "dynamic_only")
    one = read_run(out / "static_dynamic" / "0")
    results = {stage["name"]: stage["results"] for stage in lasting(one)}
    assert results["02-eigen"]["removed"]["macs"] >= 0.2
    assert not [path for path in results["02-eigen"]["layers"] if "skip_gate" in path]
    assert results["02-eigen"]["verified"] < 1e-9
    told = results["10-gates-reinforce"]["gates"]
    assert told["macs"] < results["00-gates-supervised"]["gates"]["macs"]
    assert told["gate_macs"] == results["00-gates-supervised"]["gates"]["gate_macs"]
    file = out / "static_dynamic" / "0" / "stages" / "10-gates-reinforce" / "model.safetensors"
    model = load(file, lambda: models.build("resnet8", width=0.5, channels=1))
    assert len(gates_of(model)) == 2
    assert any(isinstance(module, Bottleneck) for module in model.modules())
    before, after = (
        load_tensors(out / "static_dynamic/0/stages" / name / "model.safetensors")[0]
        for name in ("00-gates-supervised", "02-eigen")
    )
    gates = [name for name in before if "skip_gate" in name]
    assert gates
    assert all(after[name].equal(before[name]) for name in gates)
    rows = compute_rows(read_run(out))
    assert [row.variant for row in rows] == ["dense", "static_dynamic"]
    assert rows[0].blocks is None
    assert rows[0].removed == 0 < rows[1].removed
    assert rows[1].gflops == pytest.approx(2e-9 * results["12-measure"]["gates"]["expected_macs"])
    text = (out / "compute.md").read_text()
    assert text == compute_table(rows)
    assert "| static_dynamic | 1 |" in text
    assert len(compute_figure("x", rows).axes[0].lines) == 2
    assert (out / "plots" / "compute.png").exists()
    assert (out / "static_dynamic" / "0" / "plots" / "gates_learning.png").exists()


@pytest.mark.slow
def test_every_variant_runs(tmp_path: Path) -> None:
    out = study(tmp_path / "study")
    rows = {row.variant: row for row in compute_rows(read_run(out))}
    assert list(rows) == ["dense", "unit_pruning", "static_only", "dynamic_only", "static_dynamic"]
    assert all(rows[name].removed > 0 for name in ("unit_pruning", "static_only", "static_dynamic"))
    assert {name for name, row in rows.items() if row.blocks is not None} == {"dynamic_only", "static_dynamic"}
    assert rows["static_dynamic"].full < 0.7 * rows["dynamic_only"].full
    taken = read_json(out / "static_only" / "0" / "run.json")["stages"][0]
    assert taken["taken_from"] == "unit_pruning/0", "equal first stages are carried out once"


def test_the_ready_study_is_what_the_seed_does() -> None:
    steps = expand(parse(read_yaml(find_recipe("static_dynamic")), source="static_dynamic").stages)
    types = [step.stage.type for step in steps]
    assert types[:4] == ["gates", "hold", "eigen", "train"]
    assert types[-3:] == ["gates", "hold", "measure"]
    assert types.count("eigen") == 12
