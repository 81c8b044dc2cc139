"""What an export leaves: the file, how far it was proved, and how fast it is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from secateurs._version import __version__
from secateurs.cost import Latency, LatencyRow

__all__ = ["Exported", "Format", "Port", "Proof", "Trial"]

Format: TypeAlias = Literal["onnx", "pt2"]

_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One call with random inputs: samples in it, and the largest relative difference between the outputs."""

    batch: int
    error: float


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How the file was held against the model.

    Attributes:
        trials: every comparison.
        tolerance: what each had to meet.
        runtime: what ran the file.
        reacts: whether the outputs depend on the inputs; if not, the comparison says nothing of the layers.
    """

    trials: tuple[Trial, ...]
    tolerance: float
    runtime: str
    reacts: bool

    @property
    def error(self) -> float:
        """The largest relative difference of all trials."""
        return max(trial.error for trial in self.trials)


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or output: its name in the file, and its shape, in which "batch" stands for any number."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An exported model.

    Attributes:
        file: where it is; `report_file` beside it holds all this as JSON.
        format: "onnx" or "pt2".
        bytes: size of the file, with that of the weights beside it, if any.
        batch: "dynamic", or the only number of samples that the file takes.
        inputs, outputs: what it takes and gives, in order.
        proof: how it was compared with the model.
        latencies: by runtime ("eager", "compiled", "onnxruntime" or "exported"), timed in turns; empty without.
        missing: runtimes that could not be timed, and why.
        opset: of ONNX's operators; None in other formats.
        notes: what to know about the file.
    """

    file: Path
    format: Format
    bytes: int
    batch: int | Literal["dynamic"]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    proof: Proof
    latencies: Mapping[str, Latency]
    missing: Mapping[str, str]
    opset: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def report_file(self) -> Path:
        """The JSON file beside it."""
        return report_file(self.file)

    def to_json(self) -> dict[str, Any]:
        """All of it as a JSON object."""
        content = {name: getattr(self, name) for name in ("format", "bytes", "batch", "opset")}
        return {
            "schema": _SCHEMA,
            "file": self.file.name,
            **content,
            "inputs": [asdict(port) for port in self.inputs],
            "outputs": [asdict(port) for port in self.outputs],
            "proof": {"error": self.proof.error, **asdict(self.proof)},
            "latency": _latency_json(self.latencies) if self.latencies else None,
            "not_timed": dict(self.missing),
            "notes": list(self.notes),
            "secateurs": __version__,
        }

    def __str__(self) -> str:
        ports = [f"{port.name} {port.dtype} [{', '.join(map(str, port.shape))}]" for port in self.inputs]
        trials, batches = len(self.proof.trials), sorted({trial.batch for trial in self.proof.trials})
        sizes = ", ".join(map(str, batches))
        lines = [
            f"{self.file}: {self.bytes:,} bytes, takes {', '.join(ports)}",
            f"equal to the model to {self.proof.error:.1e} in {self.proof.runtime}, "
            f"on {trials} random inputs in batches of {sizes}",
            *self.notes,
        ]
        if self.latencies:
            lines.append(_latency_table(self.latencies))
        return "\n".join([*lines, *(f"{name} not timed: {why}" for name, why in self.missing.items())])


def report_file(file: Path) -> Path:
    """The JSON file beside an exported one."""
    return file.with_name(f"{file.name}.json")


def _latency_json(latencies: Mapping[str, Latency]) -> dict[str, Any]:
    first = next(iter(latencies.values()))
    rows = [{"runtime": name, **asdict(row)} for name, latency in latencies.items() for row in latency.rows]
    return {"hardware": first.hardware, "versions": dict(first.versions), "warmup": first.warmup, "rows": rows}


def _latency_table(latencies: Mapping[str, Latency]) -> str:
    first = next(iter(latencies.values()))
    lines = [f"milliseconds by batch, median (5th to 95th percentile); {first.hardware}"]
    for name, latency in latencies.items():
        lines.append(f"  {name:<12} {'   '.join(map(_cell, latency.rows))}")
    return "\n".join(lines)


def _cell(row: LatencyRow) -> str:
    return f"{row.batch_size}: {row.median_ms:.3g} ({row.low_ms:.3g} to {row.high_ms:.3g})"
