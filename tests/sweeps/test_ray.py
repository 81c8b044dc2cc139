"""A sweep on a real Ray cluster of two nodes on this machine, one of which is killed while its run trains."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from secateurs._errors import ConfigError
from secateurs.sweeps import SweepOptions, run_sweep
from tests.recipes._studies import epochs, read_json, weights
from tests.sweeps._sweeps import RECIPE, here, pretend, result, sweep

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")

# Long enough to be met while it trains, also where machines are slow.
LONG = {**RECIPE, "stages": [{**RECIPE["stages"][0], "epochs": 40}, *RECIPE["stages"][1:]]}
# Loopback too, and not replaced by the machine's address for others, as Ray does with 127.0.0.1.
NODE = {"num_cpus": 1, "node_ip_address": "127.0.0.2", "object_store_memory": 80 * 2**20}
SEEDS = [0, 1, 2, 3]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head and a second node of one CPU each, on the loopback interface; gone afterwards."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    made = cluster_utils.Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        made.add_node(**NODE)
        made.wait_for_nodes()
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def kill_while_both_train(cluster: Any, home: Path, killed: list[str]) -> None:
    """Kill the second node once two runs have noted epochs and not finished."""
    for _ in range(6000):
        running = [file.parent for file in home.glob("*/*/metrics.jsonl") if not finished(file.parent)]
        if len(running) >= 2:
            killed += [f"{run.parent.name}/{run.name}" for run in running]
            cluster.remove_node(next(node for node in cluster.worker_nodes), allow_graceful=False)
            return
        time.sleep(0.02)


def finished(run: Path) -> bool:
    return bool(read_json(run / "run.json")["status"] == "finished")


@pytest.mark.slow
def test_a_node_that_is_killed_costs_nothing(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, killed = sweep(recipe=LONG, space={"stages.0.lr": [0.05, 0.1]}, seeds=SEEDS[:2], retries=0), list[str]()
    killer = threading.Thread(target=kill_while_both_train, args=(cluster, tmp_path / "on_ray", killed))
    killer.start()
    state = run_sweep(made, tmp_path / "on_ray", SweepOptions(ray=cluster.address))
    killer.join()
    assert len(killed) == 2
    assert [trial["status"] for trial in state["trials"]] == ["finished", "finished"]
    starts = {
        run["path"]: starts_of(tmp_path / "on_ray", run["path"]) for trial in state["trials"] for run in trial["runs"]
    }
    assert sorted(starts.values()) == [1, 1, 1, 2]
    assert next(path for path, count in starts.items() if count == 2) in killed
    pretend(monkeypatch, here)
    run_sweep(made, tmp_path / "here")
    assert result(tmp_path / "on_ray") == result(tmp_path / "here")
    for path in starts:
        one, other = tmp_path / "on_ray" / path, tmp_path / "here" / path
        assert weights(one) == weights(other)
        assert epochs(one) == epochs(other)


def starts_of(home: Path, path: str) -> int:
    return (home / "logs" / f"{path.replace('/', '-')}.log").read_text().count("--- ")


@pytest.mark.slow
def test_what_no_node_has_is_refused(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"resources: wanted what a machine of the cluster has, got cpus: 1, gpus: 3"):
        run_sweep(sweep(resources={"gpus": 3}), tmp_path / "s", SweepOptions(ray=cluster.address))
    assert read_json(tmp_path / "s" / "run.json")["status"] == "failed"


def test_a_cluster_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--ray: wanted a cluster that answers, got 127.0.0.1:1: .*ray start --head"):
        run_sweep(sweep(), tmp_path / "s", SweepOptions(ray="127.0.0.1:1"))
