"""Export: follow the model, write it aside, prove the file, time it, and only then put it in its place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from secateurs._aside import made_aside
from secateurs._errors import ConfigError
from secateurs._files import write_json
from secateurs._nearest import nearest_hint
from secateurs.cost import Latency
from secateurs.dynamic import gates_of
from secateurs.export._example import Call, example_call
from secateurs.export._exported import Exported, Format, Port, Proof, report_file
from secateurs.export._program import traced_program
from secateurs.export._prove import prove
from secateurs.export._timed import timed
from secateurs.export._writers import WRITERS, Writer, check_installed
from secateurs.graph import readable, tensors_in
from secateurs.surgery import Result, copy_model

__all__ = ["export"]

_BATCHES = (1, 2, 3, 8)

_GATED = (
    "gates decide for each image, but this file computes every block for every image and then chooses: "
    "the outputs are those of the gated network, its saving is not in the file"
)


@torch.inference_mode(False)  # tensors made in inference mode cannot be followed
def export(
    model: Result | nn.Module,
    file: str | Path,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    batch: int | Literal["dynamic"] = "dynamic",
    tolerance: float = 1e-4,
    latency: Sequence[int] = (),
) -> Exported:
    """Write a model for other programs, and prove that the file gives what the model gives.

    An ONNX file is run by onnxruntime, a .pt2 file (torch.export) by torch without the model's code. The file is made
    from a copy in eval mode on the CPU, and compared with it on random inputs; a file that differs is deleted, and
    whatever was in its place stays. A report goes beside it, as `FILE.json`. Networks with gates compute every block
    in the file; a note says so.

    Args:
        model: what `apply`, `prune` or `load` gave, or any module; it is left as it is.
        file: ends in .onnx or .pt2, which says the format.
        args, kwargs: an example call, given in any of the ways of `trace`; by default one as the last plan says.
        batch: "dynamic" for any number of samples, or the only one that the file is to take. The batch is the first
            size of the first tensor of the example; every tensor of that first size has it.
        tolerance: largest difference of outputs, as a fraction of the largest output.
        latency: numbers of samples to time calls with: the model itself, compiled, and the file, in turns. With a
            fixed batch, that one alone is timed where any are given.

    Raises:
        ConfigError: an unknown ending, packages that are not installed (`secateurs[export]`), or no example.
        GraphError: code that torch.export cannot follow, or operators that the format has not.
        VerifyError: the file does not give what the model gives.
        FileError: a file that cannot be written.

    >>> exported = export(small, "small.onnx", args=(x,))
    >>> exported.proof.error < 1e-4
    True
    """
    path = Path(file)
    form = _format(path)
    check_installed(form)
    inner = readable(model.model if isinstance(model, Result) else model, where="export")
    call = example_call(inner, args, kwargs, batch)
    copied = copy_model(inner, lambda tensor: tensor.to("cpu", copy=True)).eval()
    wish = _Wish(form=form, batch=batch, tolerance=tolerance, latency=tuple(latency))
    with made_aside(path) as aside:
        exported = _export(copied, aside, call, wish)
        write_json(report_file(aside), exported.to_json())
    return replace(exported, file=path)


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """What the caller asked for."""

    form: Format
    batch: int | Literal["dynamic"]
    tolerance: float
    latency: tuple[int, ...]

    @property
    def writer(self) -> Writer:
        return WRITERS[self.form]

    @property
    def timed(self) -> tuple[int, ...]:
        """Batches to time."""
        return self.latency if self.batch == "dynamic" or not self.latency else (self.batch,)

    @property
    def tried(self) -> tuple[int, ...]:
        """Batches to compare on."""
        return _BATCHES if self.batch == "dynamic" else (self.batch,) * len(_BATCHES)


def _export(model: nn.Module, file: Path, call: Call, wish: _Wish) -> Exported:
    """Written, proved and timed."""
    with torch.no_grad():
        outputs = list(tensors_in(model(*call.args, **call.kwargs)))
    names = ("output",) if len(outputs) == 1 else tuple(f"output_{number}" for number in range(len(outputs)))
    program = traced_program(model, call, wish.batch)
    inputs = [name for name in program.graph_signature.user_inputs if isinstance(name, str)]
    opset = wish.writer.write(program, file, names)
    del program  # it holds another copy of the weights
    read, runner = wish.writer.read(file), wish.writer.runner()
    generator = torch.Generator().manual_seed(0)
    calls = [call, *(call.sized(batch).drawn(generator) for batch in wish.tried)]
    proof = prove(model, read, calls, file=file, runtime=runner, tolerance=wish.tolerance)
    latencies: dict[str, Latency] = {}
    missing: dict[str, str] = {}
    if wish.timed:
        latencies, missing = timed(model, read, call, wish.timed, runtime=wish.writer.runtime, runner=runner)
    return Exported(
        file=file,
        format=wish.form,
        bytes=sum(made.stat().st_size for made in file.parent.iterdir()),
        batch=wish.batch,
        inputs=_ports(inputs, call.tensors, call.batch, wish),
        outputs=_ports(names, outputs, call.batch, wish),
        proof=proof,
        latencies=latencies,
        missing=missing,
        opset=opset,
        notes=tuple(_notes(model, proof)),
    )


def _ports(names: Sequence[str], tensors: Sequence[Tensor], batch: int, wish: _Wish) -> tuple[Port, ...]:
    ports = []
    for name, tensor in zip(names, tensors, strict=True):
        shape: list[int | str] = list(tensor.shape)
        if wish.batch == "dynamic" and shape and shape[0] == batch:
            shape[0] = "batch"
        ports.append(Port(name=name, dtype=str(tensor.dtype).removeprefix("torch."), shape=tuple(shape)))
    return tuple(ports)


def _notes(model: nn.Module, proof: Proof) -> Iterator[str]:
    if gates_of(model):
        yield _GATED
    if not proof.reacts:
        yield "the outputs are the same for all inputs that were tried, so that comparing them proves little"


def _format(path: Path) -> Format:
    for form in WRITERS:
        if path.suffix == f".{form}":
            return form
    endings = [f".{form}" for form in WRITERS]
    cure = nearest_hint(path.suffix, endings, f"Write for example {path.stem or 'model'}.onnx.")
    raise ConfigError(str(path), wanted=f"a file ending in {' or '.join(endings)}", got=repr(path.suffix), cure=cure)
