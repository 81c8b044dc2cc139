"""Accuracy on subsets of classes, over many runs: the log of a published tool for subset-aware pruning."""

import os
import statistics
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from secateurs.reporting._record import RunRecord, member_runs, read_run

__all__ = ["subset_log"]

_ALL = "entire_dataset"


def subset_log(folders: Iterable[Path]) -> dict[str, Any]:
    """What finished runs have measured, by network.

    `{network: {subset: {"unpruned_inference": {"test_top1", "gops"}}, trained_on: {"SUBSET_inference": {percent:
    test_top1}}}}`: accuracy in percent by the highest score of all classes, GOps (1e9, 2 per multiply-add) of one
    image, and for networks that were cut, by the classes that they were trained on last, the percentage of their
    parameters that is gone. The accuracy among the classes of the subset stands beside it as `test_top1_among` and
    `SUBSET_inference_among`. Of runs that measure the same, such as seeds, there is the mean. Networks that were cut
    before their first training on the subset, and those that saw fewer images of all classes (`batches.epoch_images`),
    have figures of their own: `SUBSET_inference_cut_first`, `SUBSET_inference_paced`.

    Runs that train on a subset and cut are also found by time: `{network: {subset: {percent: [time stamps],
    "base_path"}}}`, with the folder that they all lie in.

    Args:
        folders: run directories, or studies.

    Raises:
        FileError: no run directory, or a damaged one.
    """
    found: dict[tuple[str, ...], list[float]] = {}
    places: dict[tuple[str, str], dict[str, list[tuple[str, str]]]] = {}
    for folder in folders:
        record = read_run(folder)
        for run in (run for _, run in member_runs(record)) if "runs" in record.state else (record,):
            for place, value in _entries(run):
                found.setdefault(place, []).append(value)
            _note_time(run, places)
    log: dict[str, Any] = {}
    for place, values in sorted(found.items()):
        node = log
        for key in place[:-1]:
            node = node.setdefault(key, {})
        node[place[-1]] = statistics.fmean(values)
    for (network, subset), by_percent in places.items():
        node = log.setdefault(network, {}).setdefault(subset, {})
        node["base_path"] = os.path.commonpath([path for runs in by_percent.values() for _, path in runs])
        node |= {percent: sorted(started for started, _ in runs) for percent, runs in by_percent.items()}
    return log


def _note_time(run: RunRecord, places: dict[tuple[str, str], dict[str, list[tuple[str, str]]]]) -> None:
    """When it began and where it lies, if it has cut a network for a subset."""
    state = run.state
    asked = (state.get("summary") or {}).get("asked") or {}
    if (
        state.get("status") != "finished"
        or not {"network", "subset", "started"} <= state.keys()
        or "params" not in asked
    ):
        return
    place = places.setdefault((str(state["network"]), str(state["subset"])), {})
    percent = str(round(100 * float(asked["params"])))
    place.setdefault(percent, []).append((str(state["started"]), str(run.path.parent)))


def _entries(run: RunRecord) -> Iterator[tuple[tuple[str, ...], float]]:
    """Every figure of the last measurement, with its place in the log."""
    measured = run.stages("measure")
    if run.state.get("status") != "finished" or not measured or "network" not in run.state:
        return
    network, results = str(run.state["network"]), measured[-1]["results"]
    after = results["after"]
    parts = {str(run.state.get("subset") or _ALL): after, **results.get("subsets", {})}
    percent, gops = round(100 * results.get("removed_params", 0.0)), 2e-9 * after["macs"]
    kind, pace = _kind(run.state) if percent else "", run.state.get("epoch_images")
    for subset, figures in parts.items():
        # As many images as another subset has: compared with nothing.
        if "test_accuracy" not in figures or (isinstance(pace, str) and pace != subset):
            continue
        top1 = {"": 100 * figures["test_accuracy"]}
        if "test_accuracy_among" in figures:
            top1["_among"] = 100 * figures["test_accuracy_among"]
        for suffix, value in top1.items():
            if percent:
                yield (network, _trained_on(run.state), f"{subset}_inference{kind}{suffix}", str(percent)), value
            else:
                yield (network, subset, "unpruned_inference", f"test_top1{suffix}"), value
        if not percent:
            yield (network, subset, "unpruned_inference", "gops"), gops


def _kind(state: Mapping[str, Any]) -> str:
    """What runs that are not to be averaged with the usual ones add to a name."""
    if "epoch_images" in state:
        return "_paced"
    steps = [stage.get("results") or {} for stage in state["stages"]]
    first = next((found for found in steps if "axes" in found or int(found.get("epochs", 0)) > 0), {})
    retrained = any(int(found.get("epochs", 0)) > 0 for found in steps)
    return "_cut_first" if "subset" in state and "axes" in first and retrained else ""


def _trained_on(state: Mapping[str, Any]) -> str:
    """Of the last training: here, or in the run that the weights are from."""
    trained = any(int((stage.get("results") or {}).get("epochs", 0)) > 0 for stage in state["stages"])
    here = str(state.get("subset") or _ALL)
    return here if trained else str(state.get("trained_on") or here)
