"""`export`: a saved model for other programs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer
from torch import Tensor, nn

from secateurs._errors import ConfigError
from secateurs.cli._console import out, say
from secateurs.cli._target import Inputs, Options, examples, make_model

__all__ = ["register"]

_TIMED = (1, 64)


class _Format(StrEnum):
    onnx = "onnx"
    pt2 = "pt2"
    pretrained = "pretrained"


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("export")(_export)


# As many parameters as the command line has options; typer reads them from the signature.
def _export(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A run's directory, or a file that `secateurs.save` wrote.")
    ],
    to: Annotated[_Format | None, typer.Option("--to", help="Format; by default as --out ends, else onnx.")] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Default: DIR/export/model.onnx, or beside the file.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="MODEL", help="For a file by itself: `package.module:factory`, or a reference network."
        ),
    ] = None,
    options: Options = None,
    inputs: Inputs = None,
    batch: Annotated[
        str, typer.Option("--batch", metavar="dynamic|N", help="Any number of samples, or the only one.")
    ] = "dynamic",
    latency: Annotated[
        bool, typer.Option("--latency", help="Time the model, the model compiled, and the file, in turns.")
    ] = False,
) -> None:
    """Write a saved model as ONNX or as a torch.export program, prove the file, and say what it takes.

    The file is compared with the model on random inputs; one that differs is deleted. FILE.json says how it went.
    ONNX needs the packages of `secateurs[export]`. A model with a config and `from_pretrained` is written for its own
    library by --to pretrained, into a folder.

    Examples:

    * `secateurs export runs/quickstart --to onnx --latency`
    * `secateurs export small.safetensors --model resnet20 --out small.pt2`
    * `secateurs export small.safetensors --model my_project.nets:make_net --input 1x3x224x224 --batch 1`
    * `secateurs export small.safetensors --model my_project.nets:make_bert --to pretrained --out small`
    """
    from secateurs.export import export, save_pretrained

    size = _batch(batch)
    _check_out(out_file, to)
    given = examples(inputs)
    found, usual, place = _read(checkpoint, model, options)
    file = _file(out_file, place, to)
    say(f"exporting to {file}")
    if to is _Format.pretrained:
        config = save_pretrained(found, file, given or usual)
        out().print(f"{file}: from_pretrained of {type(found).__name__} reads it", markup=False, soft_wrap=True)
        out().print(str(config), markup=False, soft_wrap=True)
        return
    exported = export(found, file, given or usual, batch=size, latency=_TIMED if latency else ())
    out().print(str(exported), markup=False, soft_wrap=True)


def _batch(text: str) -> int | Literal["dynamic"]:
    if text == "dynamic":
        return "dynamic"
    if text.isdecimal() and 0 < int(text) < 2**31:
        return int(text)
    cure = "Write for example --batch 1."
    raise ConfigError("--batch", wanted="dynamic or a number of samples", got=repr(text), cure=cure)


def _read(
    checkpoint: Path, target: str | None, options: list[str] | None
) -> tuple[nn.Module, tuple[Tensor, ...], Path]:
    """The model, an example (none where its plan has one), and where its export belongs, without ending."""
    import torch

    from secateurs import recipes
    from secateurs.surgery import load

    if target is not None:
        made, usual = make_model(target, options)
        file = recipes.weights_file(checkpoint)
        place = checkpoint / "export" / "model" if checkpoint.is_dir() else checkpoint.with_suffix("")
        return load(file, lambda: made), usual, place
    if not checkpoint.exists():
        cure = "Name a run's directory or a safetensors file."
        raise ConfigError(str(checkpoint), wanted="a checkpoint", got="nothing of that name", cure=cure)
    left = recipes.left_by(checkpoint)
    if left is None:
        cure = "Say what network it is of: --model resnet20 or --model package.module:factory."
        got = "a file or folder outside of any run"
        raise ConfigError(str(checkpoint), wanted="a run, which knows its network", got=got, cure=cure)
    return left.model, (torch.randn(1, *left.shape),), left.run / "export" / "model"


def _check_out(out_file: Path | None, to: _Format | None) -> None:
    if out_file is None or to in (None, _Format.pretrained) or out_file.suffix == f".{to}":
        return
    cure = f"Write --out {out_file.with_suffix(f'.{to}').name}, or leave --to out."
    raise ConfigError("--out", wanted=f"a file ending in .{to}", got=str(out_file), cure=cure)


def _file(out_file: Path | None, place: Path, to: _Format | None) -> Path:
    if out_file is not None:
        return out_file
    return place.with_name(f"{place.name}-pretrained" if to is _Format.pretrained else f"{place.name}.{to or 'onnx'}")
