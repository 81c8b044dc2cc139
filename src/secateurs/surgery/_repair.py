"""Repair: what is left takes over from what is gone, in closed form, before any retraining."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from secateurs._errors import PlanError
from secateurs.graph import Graph, free_attention, tensors_of, untouched
from secateurs.statistics import Batch, read_batches
from secateurs.surgery._apply import Result
from secateurs.surgery._cut import check_fits, copy_model
from secateurs.surgery._repair_course import Course
from secateurs.surgery._repair_options import RepairOptions
from secateurs.surgery._repair_report import RepairReport
from secateurs.surgery._repair_sites import Sites
from secateurs.surgery._repair_steps import Step, fitted, steps_of

__all__ = ["repair"]


def repair(
    result: Result,
    batches: Iterable[Any],
    *,
    parallel: bool = False,
    options: RepairOptions | None = None,
    dense: nn.Module | None = None,
) -> Result:
    """Let the kept inputs of every layer rebuild what the dense layer gave, as well as a linear map can.

    Of every convolution and linear map from the first cut on, in order of execution,

        min over W, b of   E |y - W x - b|^2  +  ridge * v * |W - W_cut|^2,

    x what the cut layer reads (patches, channel x kernel offset), with everything before it already repaired; y what
    the dense layer gives for the same image, at the outputs that stay; v the mean variance of x. W_cut are the weights
    as cut, so that what the images do not tell stays as it is. The bias follows from the means; where a layer has
    none, the batch norm behind it takes it. Batch norms store the mean plus what the cut added to it, and the variance
    times what the cut multiplied it by, over the calibration set; see `RepairOptions`.

    All batches advance along both models at the same time: each model computes every batch once, after one look at
    the first, whatever its depth. Memory, in bytes: for each image what both models hold between two layers at the
    widest place, plus 16 times the square of the inputs (channels x offsets) of the widest layer, or
    `moments_bytes`, and a batch's own activations. Where there is less, give fewer images or batches.

    Args:
        result: of `apply` or `prune`; its model is changed. A repair that fails leaves it as it was.
        batches: inputs as a loader gives them; targets are not looked at. 500 to 1,000 images are usual.
        parallel: fit all layers on what the dense model reads, in one pass through it, instead of one after the other
            on the cut model; the same as in `options`.
        options: how.
        dense: the model that was cut, where the plan comes from a file or the cut was made in place.

    Returns:
        The result with `repair`, the report: of every layer its error before and after, and what stays as cut.

    Raises:
        PlanError: no batches, no dense model, or code that depends on the data.
    """
    start = time.perf_counter()
    options = options or RepairOptions()
    options = replace(options, parallel=parallel or options.parallel)
    source, work = copy_model(_dense(result, dense), _shared), copy_model(result.model)
    device = next((tensor.device for tensor in tensors_of(work).values()), torch.device("cpu"))
    calls = list(read_batches(batches, "repair", device))
    with _ready(source), _ready(work):
        report = _repaired(result, source, work, calls, options)
    with torch.no_grad():
        changed = tensors_of(work)
        for path, tensor in tensors_of(result.model).items():
            if tensor.is_floating_point() or tensor.is_complex():
                tensor.copy_(changed[path])
    return replace(result, repair=replace(report, seconds=time.perf_counter() - start))


def _repaired(
    result: Result, dense: nn.Module, cut: nn.Module, calls: list[Batch], options: RepairOptions
) -> RepairReport:
    first = [(Sites(model), partial(calls[0].outputs, copy_model(model, _shared))) for model in (dense, cut)]
    steps = steps_of(result.plan, first[0], first[1])
    maps = [step.number for step in fitted(steps, options.layers)]
    start = next((step.number for step in steps if step.touched), len(steps))
    norms = [s.number for s in steps if s.kind == "norm" and not s.hinders and s.number > start]
    norms = norms if options.batch_norm else []
    done, numbers = [], sorted({*maps, *norms})
    if options.parallel:
        with _course(result, dense, cut, calls, steps, options) as course:
            done = course.run_parallel(maps)
        numbers = norms
    with _course(result, dense, cut, calls, steps, options) as course:
        done += course.run(numbers)
    left = _left(result, steps, {layer.path for layer in done})
    return RepairReport(layers=tuple(done), left=left, norms=len(norms), batches=len(calls))


@contextmanager
def _course(
    result: Result, dense: nn.Module, cut: nn.Module, calls: list[Batch], steps: list[Step], options: RepairOptions
) -> Iterator[Course]:
    course = Course(result.plan, (dense, cut), calls, steps, options)
    try:
        yield course
    finally:
        course.close()


@contextmanager
def _ready(model: nn.Module) -> Iterator[None]:
    with untouched(model, copy_buffers=False):
        free_attention(model)  # torch's own hides what it does inside
        yield


def _left(result: Result, steps: list[Step], done: set[str]) -> dict[str, str]:
    """Weights that lost inputs and were not fitted."""
    why = {step.path: step.hinders for step in steps if step.kind == "map"}
    graph = result.plan.graph
    reading = {
        member.path
        for name in result.plan.removed
        for member in (graph[name].members if isinstance(graph, Graph) else ())
        if member.role == "reads"
    }
    reading |= {step.path for step in steps if step.consumes}
    return {path: why.get(path) or "no convolution or matrix product" for path in sorted(reading - done)}


def _dense(result: Result, dense: nn.Module | None) -> nn.Module:
    """The model that was cut, as it was."""
    if dense is None and isinstance(result.plan.graph, Graph):
        dense = result.plan.graph.model
    if dense is None or dense is result.model:
        got = "a plan from a file" if dense is None else "a model that was cut in place"
        raise PlanError("repair", wanted="the dense model", got=got, cure="Give a copy of it made before: dense=model.")
    check_fits(dense, result.plan)
    return dense


def _shared(tensor: torch.Tensor) -> torch.Tensor:
    return tensor
