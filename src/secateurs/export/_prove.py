"""The exported file held against the model, on random inputs."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from secateurs._errors import VerifyError
from secateurs.export._example import Call
from secateurs.export._exported import Proof, Trial
from secateurs.graph import tensors_in
from secateurs.surgery import relative_error

__all__ = ["prove"]


@torch.no_grad()
def prove(
    model: nn.Module, exported: nn.Module, calls: Sequence[Call], *, file: Path, runtime: str, tolerance: float
) -> Proof:
    """Compare the outputs of both on all calls.

    Raises:
        VerifyError: they differ, or the model's are not finite, so that nothing can be compared.
    """
    trials, first = [], None
    reacts = False
    for call in calls:
        expected = [tensor.clone() for tensor in tensors_in(model(*call.args, **call.kwargs))]
        _check_finite(expected, file)
        got = _run(exported, call, file)
        trials.append(Trial(batch=call.batch, error=relative_error(expected, got)))
        if not trials[-1].error <= tolerance:
            raise VerifyError(
                str(file),
                wanted=f"outputs equal to the model's to {tolerance:g} in a batch of {call.batch}",
                got=_difference(expected, got, trials[-1].error),
                cure="Nothing was written. Export with batch=1 or to the other format, and report it.",
            )
        sample = [tensor[:1] if tensor.dim() else tensor for tensor in expected]
        reacts = reacts or (first is not None and relative_error(first, sample) > 0)
        first = first or sample
    return Proof(trials=tuple(trials), tolerance=tolerance, runtime=runtime, reacts=reacts)


def _run(exported: nn.Module, call: Call, file: Path) -> list[Tensor]:
    try:
        return list(tensors_in(exported(*call.args, **call.kwargs)))
    except Exception as error:  # of runtimes that are not ours
        raise VerifyError(
            str(file),
            wanted=f"a file that runs on a batch of {call.batch}",
            got=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
            cure="Nothing was written. Export that number of samples alone: batch=1 (--batch 1).",
        ) from error


def _check_finite(outputs: Sequence[Tensor], file: Path) -> None:
    floating = [tensor for tensor in outputs if tensor.is_floating_point() or tensor.is_complex()]
    if outputs and all(bool(tensor.isfinite().any()) for tensor in floating):
        return
    wanted, got = "a model whose outputs are numbers", "none" if not outputs else "nothing but NaN or infinity"
    raise VerifyError(str(file), wanted=wanted, got=got, cure="Check the weights and the example.")


def _difference(expected: Sequence[Tensor], got: Sequence[Tensor], error: float) -> str:
    shapes = [tuple(tensor.shape) for tensor in expected], [tuple(tensor.shape) for tensor in got]
    return f"a relative difference of {error:.1e}" if shapes[0] == shapes[1] else f"shapes {shapes[1]} for {shapes[0]}"
