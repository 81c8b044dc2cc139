"""How long a model takes, with everything that a number of milliseconds needs beside it."""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from secateurs._errors import ConfigError
from secateurs.graph import arguments_of, batch_in, resized, tensors_in

__all__ = ["Latency", "LatencyPair", "LatencyRow", "latencies", "latency", "latency_pair"]

_Call = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class LatencyRow:
    """Times of one call with `batch_size` samples, over `runs` calls.

    Attributes:
        median_ms: the middle time.
        low_ms, high_ms: 5th and 95th percentile, interpolated linearly; not the extremes, which on a shared
            machine say more about its other work than about the model.
    """

    batch_size: int
    median_ms: float
    low_ms: float
    high_ms: float
    runs: int

    def gops_per_s(self, macs: int) -> float:
        """Rate reached by the middle time where one sample takes so many multiply-adds; 2 operations each."""
        return 2 * macs * self.batch_size / (self.median_ms * 1e6)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Rows in the order of the batch sizes asked for; `warmup` calls before each row were not counted."""

    rows: tuple[LatencyRow, ...]
    hardware: str
    versions: Mapping[str, str]
    warmup: int

    def __str__(self) -> str:
        return "\n".join([_setting(self), f"{'batch':>6} {_HEAD}", *(_line(row) for row in self.rows)])


@dataclass(frozen=True, kw_only=True)
class LatencyPair:
    """Two models timed in turns; `ratios` are medians of `b` over those of `a`, row by row: 0.5 is twice as fast."""

    a: Latency
    b: Latency
    ratios: tuple[float, ...]

    def __str__(self) -> str:
        lines = [_setting(self.a), f"{'':>7} {'batch':>6} {_HEAD} {'b / a':>8}"]
        for a, b, ratio in zip(self.a.rows, self.b.rows, self.ratios, strict=True):
            lines += [f"model a {_line(a)}", f"model b {_line(b)} {ratio:>8.3f}"]
        return "\n".join(lines)


def latency(
    model: nn.Module,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    batch_sizes: Sequence[int] = (1, 64),
    runs: int = 30,
    warmup: int = 5,
) -> Latency:
    """Time `model(*args, **kwargs)` in eval and inference mode, where the model and the arguments are.

    The first tensor among the arguments gives the example's batch; every tensor whose first dim has that size
    is repeated (or cut) along it to each of `batch_sizes`. Flags of the model are restored.

    Args:
        model: any module, timed as it is, in its wrapper if it has one.
        args, kwargs: an example call, given in any of the ways of `trace`.
        batch_sizes: samples per call, one row each.
        runs: timed calls per row.
        warmup: calls before them, for caches, allocators and lazy compilation.

    Raises:
        ConfigError: numbers out of range, or no tensor among the arguments.
        GraphError: arguments that make no call.
    """
    (result,) = _measure((model,), arguments_of(model, args, kwargs, where="latency"), batch_sizes, runs, warmup)
    return result


def latency_pair(
    a: nn.Module,
    b: nn.Module,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    batch_sizes: Sequence[int] = (1, 64),
    runs: int = 30,
    warmup: int = 5,
) -> LatencyPair:
    """Time two models on the same arguments in turns, a b a b: what else the machine does then hits both alike.

    Arguments and errors as for `latency`.
    """
    first, second = _measure((a, b), arguments_of(a, args, kwargs, where="latency"), batch_sizes, runs, warmup)
    ratios = tuple(y.median_ms / x.median_ms for x, y in zip(first.rows, second.rows, strict=True))
    return LatencyPair(a=first, b=second, ratios=ratios)


def latencies(
    models: Mapping[str, nn.Module],
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    batch_sizes: Sequence[int] = (1, 64),
    runs: int = 30,
    warmup: int = 5,
) -> dict[str, Latency]:
    """Time any number of models, at least one, on the same arguments in turns.

    Arguments and errors as for `latency`.
    """
    example = arguments_of(next(iter(models.values())), args, kwargs, where="latency")
    return dict(zip(models, _measure(tuple(models.values()), example, batch_sizes, runs, warmup), strict=True))


_HEAD = f"{'median ms':>10} {'low ms':>10} {'high ms':>10} {'runs':>5}"


def _line(row: LatencyRow) -> str:
    times = f"{row.median_ms:>10.3f} {row.low_ms:>10.3f} {row.high_ms:>10.3f}"
    return f"{row.batch_size:>6} {times} {row.runs:>5}"


def _setting(result: Latency) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return f"{result.hardware}; {versions}; {result.warmup} warm-up calls; low and high: 5th and 95th percentile"


def _measure(
    models: tuple[nn.Module, ...],
    example: tuple[tuple[Any, ...], Mapping[str, Any]],
    batch_sizes: Sequence[int],
    runs: int,
    warmup: int,
) -> list[Latency]:
    """One result per model, all models taking turns."""
    _check(batch_sizes, runs, warmup)
    batch, devices = _example_batch(example), _cuda_devices(models, example)
    rows: list[list[LatencyRow]] = [[] for _ in models]
    with _evaluating(models), torch.inference_mode():
        for size in batch_sizes:
            args, kwargs = resized(example, batch, size)
            calls: list[_Call] = [partial(model, *args, **kwargs) for model in models]
            for own, times in zip(rows, _alternate(calls, devices, runs, warmup), strict=True):
                own.append(_row(size, times))
    hardware, versions = _hardware(devices), {"python": platform.python_version(), "torch": torch.__version__}
    return [Latency(rows=tuple(own), hardware=hardware, versions=versions, warmup=warmup) for own in rows]


def _alternate(calls: list[_Call], devices: list[torch.device], runs: int, warmup: int) -> list[list[float]]:
    times: list[list[float]] = [[] for _ in calls]
    for run in range(warmup + runs):
        for own, call in zip(times, calls, strict=True):
            taken = _time_ms(call, devices)
            if run >= warmup:
                own.append(taken)
    return times


def _time_ms(call: _Call, devices: list[torch.device]) -> float:
    _synchronise(devices)
    started = time.perf_counter_ns()
    call()
    _synchronise(devices)
    return (time.perf_counter_ns() - started) / 1e6


def _synchronise(devices: list[torch.device]) -> None:
    for device in devices:
        torch.cuda.synchronize(device)


def _row(size: int, times: list[float]) -> LatencyRow:
    low, median, high = np.percentile(times, [5, 50, 95]).tolist()
    return LatencyRow(batch_size=size, median_ms=median, low_ms=low, high_ms=high, runs=len(times))


@contextmanager
def _evaluating(models: tuple[nn.Module, ...]) -> Iterator[None]:
    """Eval mode, every submodule's flag restored on leaving."""
    flags = [(module, module.training) for model in models for module in model.modules()]
    try:
        for model in models:
            model.eval()
        yield
    finally:
        for module, training in flags:
            module.training = training


def _example_batch(example: object) -> int:
    found = batch_in(tensors_in(example))
    if found is not None:
        return found
    raise ConfigError(
        "latency args",
        wanted="at least one tensor with a batch as its first dim",
        got="none",
        cure="Pass an example input: args=(x,).",
    )


def _cuda_devices(models: tuple[nn.Module, ...], example: object) -> list[torch.device]:
    held = [tensor for model in models for tensor in (*model.parameters(), *model.buffers())]
    return sorted({tensor.device for tensor in (*held, *tensors_in(example)) if tensor.is_cuda}, key=str)


def _hardware(devices: list[torch.device]) -> str:
    """The GPUs in use, or the CPU with the threads that torch may use."""
    if devices:
        return ", ".join(torch.cuda.get_device_name(device) for device in devices)
    return f"{_processor()}, {torch.get_num_threads()} threads"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _check(batch_sizes: Sequence[int], runs: int, warmup: int) -> None:
    good = {
        "batch_sizes": (
            len(batch_sizes) > 0 and min(batch_sizes) >= 1,
            "at least one size, each at least 1",
            batch_sizes,
        ),
        "runs": (runs >= 1, "at least 1", runs),
        "warmup": (warmup >= 0, "at least 0", warmup),
    }
    for name, (fits, wanted, got) in good.items():
        if not fits:
            raise ConfigError(f"latency {name}", wanted=wanted, got=repr(got), cure=f"Correct {name}.")
