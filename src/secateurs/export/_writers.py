"""The two formats: how a program is written, and how the file is run again."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from secateurs._errors import ConfigError, GraphError
from secateurs.export._exported import Format
from secateurs.graph import tensors_in

__all__ = ["WRITERS", "Writer", "check_installed"]

_NEEDED = ("onnx", "onnxscript", "onnxruntime")
_BATCH = "batch"


@dataclass(frozen=True, kw_only=True)
class Writer:
    """A format.

    Attributes:
        runtime: the key of its latency.
        write: puts a program into a file, for outputs of these names; gives the opset, if there is one.
        read: the file as a module that takes what the model takes, and gives a tuple of tensors.
        runner: name and version of what runs it.
    """

    runtime: str
    write: Callable[[ExportedProgram, Path, tuple[str, ...]], int | None]
    read: Callable[[Path], nn.Module]
    runner: Callable[[], str]


def check_installed(form: Format) -> None:
    """Refuse ONNX where its packages are not installed.

    Raises:
        ConfigError: with what is missing.
    """
    missing = [name for name in _NEEDED if form == "onnx" and find_spec(name) is None]
    if missing:
        cure = "Install them: pip install 'secateurs[export]'."
        raise ConfigError("export to onnx", wanted=" and ".join(_NEEDED), got=f"no {', '.join(missing)}", cure=cure)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """torch's exporter prints its progress, and warns of what is its own to mend."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _write_onnx(program: ExportedProgram, file: Path, outputs: tuple[str, ...]) -> int:
    try:
        with _quietly():
            made = torch.onnx.export(program, output_names=list(outputs), verbose=False)
    except torch.onnx.errors.OnnxExporterError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        cure = "Export to .pt2, which takes every operator of torch, or take the operator out of the model."
        got = " ".join(lines)[:400]
        raise GraphError(file.name, wanted="operators that ONNX has", got=got, cure=cure) from error
    assert made is not None  # it is where no file is named
    _tidy(made.model)
    made.save(file)
    return int(made.model.opset_imports[""])


def _tidy(model: Any) -> None:
    """The batch gets its name; where code lies on this machine, and how torch names things, goes."""
    sizes = {str(size) for port in model.graph.inputs for size in (port.shape or ())[:1] if not isinstance(size, int)}
    names = dict.fromkeys(sizes, _BATCH) if len(sizes) == 1 else {}
    for port in (*model.graph.inputs, *model.graph.outputs):
        for dim, size in enumerate(port.shape or ()):
            if str(size) in names:
                port.shape[dim] = names[str(size)]
    model.graph.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    for function in model.functions.values():
        function.metadata_props.clear()
        for node in function.all_nodes():
            node.metadata_props.clear()


@final
class _OnnxModel(nn.Module):
    """An ONNX file in onnxruntime, called as the model was; with as many threads as torch."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common base that is public
            cure = "Export a float32 copy (model.float()), or to .pt2."
            got = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            raise GraphError(file.name, wanted="a file that onnxruntime can run", got=got, cure=cure) from error
        self._session = session
        self._names = [port.name for port in session.get_inputs()]

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        tensors = [tensor.detach() for tensor in tensors_in((args, kwargs))]
        given = {name: tensor.numpy() for name, tensor in zip(self._names, tensors, strict=True)}
        return tuple(torch.from_numpy(array) for array in self._session.run(None, given))


def _write_pt2(program: ExportedProgram, file: Path, outputs: tuple[str, ...]) -> None:  # noqa: ARG001 - as every format
    with _quietly():
        torch.export.save(program, file)


@final
class _Program(nn.Module):
    """A torch.export program as a module; its flags for training have no meaning."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        with _quietly():
            program = torch.export.load(file)
        # In a tuple: the graph has no eval(), and need not be asked.
        self._program = (program.module(),)

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        return tuple(tensors_in(cast(Any, self._program[0](*args, **kwargs))))


WRITERS: Mapping[Format, Writer] = MappingProxyType(
    {
        "onnx": Writer(
            runtime="onnxruntime",
            write=_write_onnx,
            read=_OnnxModel,
            runner=lambda: f"onnxruntime {version('onnxruntime')}",
        ),
        "pt2": Writer(
            runtime="exported",
            write=_write_pt2,
            read=_Program,
            runner=lambda: f"torch {torch.__version__}",
        ),
    }
)
"""Formats by the ending of their files."""
