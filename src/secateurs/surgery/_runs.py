"""The runs that a proof compares: the dense model, the same as if cut, the cut one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from secateurs._errors import SecateursError, VerifyError
from secateurs.graph import (
    Graph,
    LabelMode,
    Outputs,
    Plan,
    handed_on,
    map_tensors,
    masked_run,
    tensors_of,
    untouched,
)
from secateurs.surgery._cut import copy_model, cut_model
from secateurs.surgery._fill import fill_random

__all__ = ["Example", "Runs"]

Example = tuple[tuple[Any, ...], Mapping[str, Any]]
_SIZES = "Its code uses a size that the cut changes; protect the axis. The dense model is unchanged."
_WIDER = {torch.complex32: torch.complex128, torch.complex64: torch.complex128}


@dataclass(frozen=True, kw_only=True)
class Runs:
    """A dense model, its cut copy, and what both are called with.

    Every run starts from the same random state and gets arguments of its own, since code may write into them.
    """

    dense: nn.Module
    cut: nn.Module
    plan: Plan
    graph: Graph
    example: Example
    wide: bool = False
    """Whether the models are copies in float64, and the arguments shall be so too."""

    def widened(self) -> "Runs":
        """The same with copies of both models in float64."""
        dense, cut = (copy_model(model, _wide) for model in (self.dense, self.cut))
        return Runs(dense=dense, cut=cut, plan=self.plan, graph=self.graph, example=self.example, wide=True)

    def filled(self, seed: int) -> "Runs":
        """The same with copies whose weights are random."""
        dense = copy_model(self.dense)
        fill_random(dense, seed=seed)
        cut = copy_model(dense)
        cut_model(cut, self.plan)
        return Runs(dense=dense, cut=cut, plan=self.plan, graph=self.graph, example=self.example, wide=self.wide)

    def nudged(self, amount: float, seed: int) -> "Runs":
        """The same with every number of the dense model and the example moved up or down by a relative amount."""
        generator = torch.Generator().manual_seed(seed)

        def nudge(tensor: Tensor) -> Tensor:
            if not tensor.is_floating_point() and not tensor.is_complex():
                return tensor.clone()
            signs = torch.randint(0, 2, tensor.shape, generator=generator, dtype=torch.int8) * 2 - 1
            return (tensor * (1 + amount * signs.to(tensor.device, torch.float64))).to(tensor.dtype)

        dense = copy_model(self.dense)
        with torch.no_grad():
            for tensor in tensors_of(dense).values():
                tensor.copy_(nudge(tensor))
        moved = map_tensors(nudge, self.arguments())
        return Runs(dense=dense, cut=self.cut, plan=self.plan, graph=self.graph, example=moved, wide=self.wide)

    def arguments(self) -> Example:
        """Copies."""
        copies: Example = map_tensors(_wide if self.wide else torch.clone, self.example)
        return copies

    def of_dense(self) -> Outputs:
        """What the dense model returns."""
        with untouched(self.dense, self.example, proof=True):
            return self._outputs("the dense model", self.dense, "Call the model on this example yourself.")

    def of_cut(self) -> Outputs:
        """What the cut model returns."""
        with untouched(self.cut, self.example, proof=True):
            return self._outputs("the cut model", self.cut, _SIZES)

    def of_masked(self) -> tuple[Outputs, set[torch.dtype]]:
        """What the dense model returns as if cut, and the floating types that it computed in."""
        with (
            untouched(self.dense, self.example, proof=True),
            masked_run(self.dense, self.graph, self.plan.removed) as mode,
        ):
            given = self._outputs("the masked dense model", self.dense, _SIZES)
        promised, internal = given.promised, tuple(mode.kept_part(tensor) for tensor in given.internal)
        if self.graph.free_outputs:
            promised = tuple(mode.kept_part(tensor) for tensor in promised)
        return Outputs(promised=promised, internal=internal), _real_types(mode)

    def _outputs(self, who: str, model: nn.Module, cure: str) -> Outputs:
        args, kwargs = self.arguments()
        with _told(who, cure), handed_on() as state:
            return state.sort(model(*args, **kwargs))


@contextmanager
def _told(who: str, cure: str) -> Iterator[None]:
    try:
        yield
    except SecateursError:
        raise
    except Exception as error:  # the model is the user's, and may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        got = f"{type(error).__name__}: {reason}"
        raise VerifyError(who, wanted="a model that runs on the example", got=got, cure=cure) from error


def _wide(tensor: Tensor) -> Tensor:
    """A copy in double precision of what has a precision."""
    dtype = torch.float64 if tensor.is_floating_point() else _WIDER.get(tensor.dtype, tensor.dtype)
    return tensor.to(dtype, copy=True)


def _real_types(mode: LabelMode) -> set[torch.dtype]:
    return {dtype.to_real() for dtype in mode.dtypes if dtype.is_floating_point or dtype.is_complex}
