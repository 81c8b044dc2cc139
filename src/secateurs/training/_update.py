"""What follows a backward pass: clip, step, average; or take it all back."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs.training._ema import Average
from secateurs.training._guard import Guard
from secateurs.training._options import TrainOptions
from secateurs.training._shares import on_every_rank

__all__ = ["Update"]


class Update:
    """One optimizer step and its company, as the options want it. `stepper` is the engine's wrapper of `optimizer`."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        stepper: Optimizer,
        options: TrainOptions,
        average: Average | None,
    ) -> None:
        self._trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self._stepper, self._clip_norm, self._average = stepper, options.clip_norm, average
        self._graphs = options.cuda_graphs
        self._guard = Guard(model, optimizer, average) if options.nonfinite == "skip" else None

    def begin(self) -> None:
        """Before the forward pass."""
        if self._graphs:
            # Memory of the last step's replay may be written to again; otherwise torch guesses when a step begins.
            torch.compiler.cudagraph_mark_step_begin()
        # As None, not zeros: the first gradient is then stored, not added, and the memory is free in the forward pass.
        self._stepper.zero_grad()
        if self._guard is not None:
            self._guard.save()

    def finish(self, loss: Tensor, step: int) -> Tensor | None:
        """After the backward pass of step `step` of the whole training; where bad steps are skipped, was this good?"""
        norm = self._norm() if self._guard is not None or self._clip_norm is not None else None
        if norm is not None and self._clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self._trained, self._clip_norm, norm)
        self._stepper.step()
        if self._average is not None:
            self._average.update(step)
        if self._guard is None or norm is None:
            return None
        good = on_every_rank(loss.detach().isfinite() & norm.isfinite())
        self._guard.restore_unless(good)
        return good

    def _norm(self) -> Tensor:
        return torch.nn.utils.get_total_norm([p.grad for p in self._trained if p.grad is not None])
