"""Second moments of each image's own gradient of a layer's weight, as it is or in a basis."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from secateurs.statistics._layers import Layer
from secateurs.statistics._moments import LONGEST
from secateurs.statistics._options import FactorOptions
from secateurs.statistics._patches import patches, rows_of, spread
from secateurs.statistics._stream import Watch, stream

__all__ = ["squared_gradients"]

Bases = Mapping[str, tuple[Tensor, Tensor]]


def squared_gradients(
    model: nn.Module,
    batches: Iterable[Any] | None,
    *,
    options: FactorOptions | None = None,
    loss: Callable[[Any, Any], Tensor] | None = None,
    layers: Mapping[str, Layer] | None = None,
    bases: Bases | None = None,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean over images of (Qs' G_n Qa)^2, element by element, G_n the gradient of image n's own loss by the weight:
    the diagonal of the Fisher matrix, in the basis given; and the same of the bias, [o].

    Args:
        options: `fisher` and `seed` count.
        bases: path to (Qs [o, o], Qa [i, i], applied at every kernel offset, or [d, d] for whole patches); the
            weight's own axes where there is none. No bases for grouped convolutions.

    Returns:
        Path to ([o, d], [o]), d as in a weight's `flatten(1)`.

    Costs: as much as a pass forward and backward, and the products of the rotation.
    """
    sums: dict[str, tuple[Tensor, Tensor]] = {}
    images = [0]

    def gradient(path: str, layer: Layer, inputs: Tensor | None, found: Tensor) -> None:
        assert inputs is not None
        own = _squares(layer, _wide(inputs), _wide(found), (bases or {}).get(path))
        before = sums.get(path)
        sums[path] = own if before is None else (before[0] + own[0], before[1] + own[1])

    def after(count: int) -> None:
        images[0] += count

    watch = Watch(gradient=gradient, after=after, keeps=True)
    stream(model, batches, watch, options=options or FactorOptions(), loss=loss, layers=layers)
    return {path: (found / images[0], bias / images[0]) for path, (found, bias) in sums.items()}


def _squares(
    layer: Layer, inputs: Tensor, gradients: Tensor, basis: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    """Sums over images. A layer that is called several times counts each call by itself."""
    rows, grads = rows_of(layer, inputs), spread(layer, gradients)
    width = layer.weight[0].numel()
    step = max(1, LONGEST // max(1, rows[0].numel() * layer.weight[0, 0].numel() + len(layer.weight) * width))
    total = torch.zeros(len(layer.weight), width, dtype=rows.dtype, device=rows.device)
    bias = grads.sum(2).square().sum(0)
    for part, found in zip(rows.split(step), grads.split(step), strict=True):
        read = patches(layer, part)
        if basis is not None:
            found = basis[0].T.to(found) @ found
            read = _rotated(read, basis[1].to(read))
        groups = read.shape[1]
        found = found.reshape(len(found), groups, -1, found.shape[-1])
        total += (found @ read.transpose(2, 3)).square().sum(0).flatten(0, 1)
    return total, bias


def _rotated(read: Tensor, basis: Tensor) -> Tensor:
    """Patches [N, 1, d, T] in a basis of channels or of whole patches."""
    if len(basis) == read.shape[2]:
        return basis.T @ read
    channels = read.reshape(len(read), 1, len(basis), -1)
    return (basis.T @ channels).reshape(read.shape)


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
