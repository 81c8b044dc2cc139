"""Kronecker factors of the Fisher information matrix, layer by layer."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from secateurs.statistics._layers import Layer
from secateurs.statistics._moments import channel_moments, gram, patch_moments
from secateurs.statistics._options import FactorOptions
from secateurs.statistics._patches import spread
from secateurs.statistics._stream import Watch, stream

__all__ = ["Factors", "damped", "kronecker_factors"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Factors:
    """The two factors of one layer's Fisher matrix, A (x) S.

    Attributes:
        inputs: A [groups, d, d]: mean over images and positions of a a', the inputs that one output reads; d is the
            channels of a group ("channel": mean over kernel offsets too), times kernel offsets for "patch".
        mean: [groups, d], the mean of a.
        outputs: S [o, o]: mean over images of the sum over positions of g g', the gradients of the image's own
            log-likelihood by the layer's outputs.
        images: how many were looked at.
        positions: outputs per image, for all calls of the layer together.
    """

    inputs: Tensor
    mean: Tensor
    outputs: Tensor
    images: int
    positions: float


def kronecker_factors(
    model: nn.Module,
    batches: Iterable[Any] | None,
    *,
    options: FactorOptions | None = None,
    loss: Callable[[Any, Any], Tensor] | None = None,
    layers: Mapping[str, Layer] | None = None,
) -> dict[str, Factors]:
    """A and S of every convolution and linear map, by the paths of their modules, in one pass over the batches.

    Evaluation mode; the model is left as it was. Sums are kept in single precision at least, one pair for each layer
    and no activations beyond a batch. Costs a forward pass, a backward pass to activations alone, and the products:
    for "channel" about 1 / k^2 of a layer's forward pass for A, as much for S; for "patch" d / o of it for A.

    Layers that the batches never reach, or that no gradient comes to, are not in the result. A layer that is called
    several times has the means and sums over all its calls.

    Sources: Martens and Grosse, Optimizing Neural Networks with Kronecker-factored Approximate Curvature, 2015; Grosse
    and Martens, A Kronecker-factored approximate Fisher matrix for convolution layers, 2016.

    Args:
        batches: what a loader gives.
        options: what is measured.
        loss: of outputs and targets, a mean over the batch; for the empirical Fisher alone.
        layers: those to look at; all by default.

    Raises:
        PlanError: no batches, no loss where one is needed, or outputs that no labels can be drawn from.
    """
    options = options or FactorOptions()
    sums: dict[str, _Sums] = {}
    watch = Watch(
        seen=lambda path, layer, inputs: sums.setdefault(path, _Sums(options)).see(layer, inputs),
        gradient=lambda path, layer, _, found: sums[path].learn(layer, found),
        after=lambda images: _close(sums.values(), images),
    )
    stream(model, batches, watch, options=options, loss=loss, layers=layers)
    found = {path: own.factors() for path, own in sums.items() if own.complete}
    return {path: damped(factors, options.damping) for path, factors in found.items()}


def damped(factors: Factors, damping: float) -> Factors:
    """With sqrt(damping * pi) on the diagonal of A and sqrt(damping / pi) on that of S, so that both are damped alike:
    pi^2 is the mean eigenvalue of A by that of S.

    >>> damped(factors, 1e-3)
    """
    if not damping:
        return factors
    groups, width, _ = factors.inputs.shape
    mean_input = float(factors.inputs.diagonal(dim1=1, dim2=2).mean())
    mean_output = float(factors.outputs.diagonal().mean())
    pi = math.sqrt(mean_input / mean_output) if mean_input > 0 and mean_output > 0 else 1.0
    inputs = factors.inputs + math.sqrt(damping * pi) * torch.eye(width).to(factors.inputs).expand(groups, -1, -1)
    outputs = factors.outputs + math.sqrt(damping / pi) * torch.eye(len(factors.outputs)).to(factors.outputs)
    return replace(factors, inputs=inputs, outputs=outputs)


class _Sums:
    """What one layer has come to: sums over everything, or running averages of the batches' own means."""

    def __init__(self, options: FactorOptions) -> None:
        self._decay, self._moments = options.decay, patch_moments if options.inputs == "patch" else channel_moments
        self._images, self._positions = 0, 0
        self._now: list[Tensor] | None = None  # sums of the batch: of moments, of inputs, of gradients
        self._rows, self._learned = 0, False
        self._state: list[Tensor] | None = None

    @property
    def complete(self) -> bool:
        """Whether inputs and gradients have come."""
        return self._state is not None and self._learned

    def see(self, layer: Layer, inputs: Tensor) -> None:
        """Inputs of a call."""
        moments, sums, rows = self._moments(layer, _wide(inputs))
        if self._now is None:
            outputs = torch.zeros(len(layer.weight), len(layer.weight), dtype=moments.dtype, device=moments.device)
            self._now = [moments, sums, outputs]
        else:
            self._now = [self._now[0] + moments, self._now[1] + sums, self._now[2]]
        self._rows += rows

    def learn(self, layer: Layer, gradients: Tensor) -> None:
        """Gradients of a call's outputs."""
        assert self._now is not None
        self._now[2] += gram(spread(layer, _wide(gradients)))
        self._learned = True

    def close(self, images: int) -> None:
        """A batch is over."""
        if self._now is None:
            return
        if self._decay is not None:
            moments, sums, outputs = self._now
            self._now = [moments / self._rows, sums / self._rows, outputs / images]
        if self._state is None:
            self._state = self._now
        else:
            old, new = (1.0, 1.0) if self._decay is None else (self._decay, 1 - self._decay)
            self._state = [old * before + new * now for before, now in zip(self._state, self._now, strict=True)]
        self._images, self._positions = self._images + images, self._positions + self._rows
        self._now, self._rows = None, 0

    def factors(self) -> Factors:
        """Means."""
        assert self._state is not None
        moments, sums, outputs = self._state
        rows, images = (self._positions, self._images) if self._decay is None else (1, 1)
        return Factors(
            inputs=moments / rows,
            mean=sums / rows,
            outputs=outputs / images,
            images=self._images,
            positions=self._positions / self._images,
        )


def _close(sums: Iterable[_Sums], images: int) -> None:
    for own in sums:
        own.close(images)


def _wide(tensor: Tensor) -> Tensor:
    """In single precision at least."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
