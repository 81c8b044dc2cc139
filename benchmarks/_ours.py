"""One model, ours: analysed, cut by half, run, and proved in two ways."""

import copy
import gc
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import secateurs as sec
from benchmarks._record import Record, peak_bytes
from benchmarks._share import share_in_axes
from benchmarks._zeroes import against_zeroes, inexact_axes
from benchmarks.libraries import Call

__all__ = ["best_seconds", "ours"]

CHEAP_S = 2.0
"""What takes less is timed three times; the least counts."""


def ours(model: nn.Module, call: Call, record: Record) -> None:
    """Fill `record`; whatever fails raises, and the stage says where."""
    before = peak_bytes()
    graph, plan, cut = _timed(model, call, record)
    record.note(rise_bytes=peak_bytes() - before, operators=graph.operators, **_coverage(model, graph, plan))
    record.stage("forward")
    with torch.no_grad():
        cut(*call[0], **call[1])
    record.note(runs=True)
    del cut
    record.stage("proof")
    graph = sec.trace(model, *call)
    plan = _half(graph)
    report = sec.apply(model, plan, verify=True).report
    proof = report.proof
    assert proof is not None
    record.note(error=proof.error, tolerance=proof.tolerance, precision=proof.precision, verified=report.verified)
    record.note(reacts=proof.reacts, refilled=proof.random_weights)
    record.stage("zeroes")
    record.note(**_zeroes(model, call, graph, proof.tolerance))
    record.stage("done")
    record.note(peak_bytes=peak_bytes())


def best_seconds(job: Callable[[], Any]) -> tuple[float, Any]:
    """The least time of up to three runs, and what the last one gave."""
    times: list[float] = []
    while not times or (len(times) < 3 and times[0] < CHEAP_S):
        gc.collect()
        start = time.perf_counter()
        result = job()
        times.append(time.perf_counter() - start)
    return min(times), result


def _half(graph: sec.Graph) -> sec.Plan:
    return sec.select(graph, sec.criteria.Magnitude()(graph), scope={"*": 0.5})


def _timed(model: nn.Module, call: Call, record: Record) -> tuple[sec.Graph, sec.Plan, nn.Module]:
    """Trace, score, select half of every axis and cut a copy that was made before the clock started."""
    copies = [copy.deepcopy(model) for _ in range(3)]
    parts: list[dict[str, float]] = []

    def job() -> tuple[sec.Graph, sec.Plan, nn.Module]:
        fresh, times = copies.pop(), [time.perf_counter()]
        record.stage("trace")
        graph = sec.trace(fresh, *call)
        times.append(time.perf_counter())
        record.stage("select")
        plan = _half(graph)
        times.append(time.perf_counter())
        record.stage("apply")
        sec.apply(fresh, plan, inplace=True, verify=False)
        times.append(time.perf_counter())
        names = ("trace_s", "select_s", "apply_s")
        parts.append({name: b - a for name, a, b in zip(names, times, times[1:], strict=False)})
        return graph, plan, fresh

    seconds, result = best_seconds(job)
    record.note(seconds=seconds, **min(parts, key=lambda part: sum(part.values())))
    return result


def _coverage(model: nn.Module, graph: sec.Graph, plan: sec.Plan) -> dict[str, Any]:
    """How much of the model lies in axes, how much stays, and what holds the rest."""
    sizes = {path: tensor.numel() for path, tensor in model.named_parameters()}
    kept = {path: _product(len(positions) for positions in plan.kept(path)) for path in sizes}
    held: Counter[str] = Counter()
    for entry in graph.fixed:
        held[_short(entry.why)] += round(kept.get(entry.path, 0) * entry.count / entry.size)
    total, stays = sum(sizes.values()), sum(kept.values())
    return {
        "params": total,
        "share": share_in_axes(model, graph),
        "kept": stays / total,
        "cost_kept": plan.cost.params / plan.before.params,
        "axes": len(graph.axes),
        "removed_axes": len(plan.removed),
        "kinds": dict(Counter(axis.kind for axis in graph.axes)),
        "fixed": [[why, round(count / max(1, stays), 3)] for why, count in held.most_common(8)],
        "uncounted": str(plan.before.uncounted)[:200],
    }


def _product(numbers: Any) -> int:
    return int(torch.tensor(list(numbers) or [1]).prod())


def _short(why: str) -> str:
    """Files from the library's folder on."""
    return re.sub(r"[^\s,;()]*/(?=(?:torchvision|timm|transformers|torch|secateurs)/)", "", why)


def _zeroes(model: nn.Module, call: Call, graph: sec.Graph, floor: float) -> dict[str, Any]:
    """Half of the exact axes cut, against zeros in the dense weights."""
    others = inexact_axes(graph)
    if all(axis.name in others or axis.kind == "branch" for axis in graph.axes):
        return {"zeroes": "no exact axis"}
    try:
        plan = sec.select(graph, sec.criteria.Magnitude()(graph), scope={"*": 0.5}, protect=others)
    except sec.SecateursError as error:
        return {"zeroes": f"refused: {_short(str(error))[:300]}"}
    found = against_zeroes(model, call, plan, floor)
    return {"zeroes": found.error, "zeroes_hold": found.holds, "zeroes_reaction": found.reaction}
