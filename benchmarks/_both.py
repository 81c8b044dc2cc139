"""One model, both tools in turn: how long each takes, and whether what it cut still runs."""

import copy
import gc
import time
from collections.abc import Callable

import torch
from torch import nn

import secateurs as sec
from benchmarks._record import Record
from benchmarks._theirs import heads_of, pruner_of
from benchmarks.libraries import Call

__all__ = ["both"]

RUNS = 5
SLOW_S = 10.0
"""What takes longer is run twice."""


def both(model: nn.Module, call: Call, record: Record) -> None:
    """Fill `record` with the seconds of the working thread of every run, alternating; the first to go is ours.

    Whatever fails raises; what the other tool did until then stays in the record.
    """
    heads = heads_of(model, call)

    def ours(fresh: nn.Module) -> None:
        graph = sec.trace(fresh, *call)
        plan = sec.select(graph, sec.criteria.Magnitude()(graph), scope={"*": 0.5})
        sec.apply(fresh, plan, inplace=True, verify=False)

    def theirs(fresh: nn.Module) -> None:
        pruner_of(fresh, call, [fresh.get_submodule(path) for path in heads]).step()

    tools: dict[str, Callable[[nn.Module], None]] = {"ours": ours, "theirs": theirs}
    times: dict[str, list[float]] = {tool: [] for tool in tools}
    record.note(params=sum(tensor.numel() for tensor in model.parameters()))
    for run in range(RUNS):
        for tool, job in tools.items():
            if run > 1 and max(map(max, times.values())) > SLOW_S:
                continue
            record.stage(tool)
            fresh = copy.deepcopy(model)
            times[tool].append(_seconds(job, fresh))
            if not run:
                record.stage(f"{tool}, forward")
                with torch.no_grad():
                    fresh.eval()(*call[0], **call[1])
                record.note(**{f"{tool}_kept": sum(tensor.numel() for tensor in fresh.parameters())})
        record.note(**times)
    record.stage("done")


def _seconds(job: Callable[[nn.Module], None], model: nn.Module) -> float:
    gc.collect()
    start = time.thread_time()
    job(model)
    return time.thread_time() - start
