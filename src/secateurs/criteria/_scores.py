"""Scores: how much every unit matters."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, final

import torch
from torch import Tensor

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.graph import Axis

__all__ = ["Scores"]


@final
class Scores(Mapping[str, Tensor]):
    """How much every unit of every axis matters; the higher, the more: read-only, axis name to tensor [axis.size].

    Args:
        values: one floating tensor [axis.size] per axis; they are copied.
        axes: the axes scored; their order is the order of the mapping.

    Raises:
        PlanError: a name that no axis has, an axis without scores, or scores of the wrong shape or type or not finite.
    """

    def __init__(self, values: Mapping[str, Tensor], axes: Iterable[Axis]) -> None:
        by_name = {axis.name: axis for axis in axes}
        for name in values:
            if name not in by_name:
                cure = nearest_hint(name, by_name, "print(graph) lists all axes.")
                raise PlanError(f"scores[{name!r}]", wanted="the name of an axis", got="no such axis", cure=cure)
        self._values = _copies({name: _checked(axis, values.get(name)) for name, axis in by_name.items()})

    def __getitem__(self, name: str) -> Tensor:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Scores({len(self)} axes, {sum(len(tensor) for tensor in self._values.values()):,} units)"

    def __str__(self) -> str:
        rows = [f"{'axis':<44}{'units':>7}{'lowest':>12}{'median':>12}{'highest':>12}"]
        for name, tensor in self._values.items():
            low, middle, high = (float(tensor.double().quantile(q)) for q in (0, 0.5, 1))
            rows.append(f"{name:<44}{len(tensor):>7}{low:>12.4g}{middle:>12.4g}{high:>12.4g}")
        return "\n".join(rows)


def _checked(axis: Axis, tensor: Any) -> Tensor:
    where, wanted = f"scores[{axis.name!r}]", f"a floating tensor of shape ({axis.size},)"
    if tensor is None:
        raise PlanError(where, wanted=wanted, got="no scores", cure="Score every axis that may be cut.")
    if not isinstance(tensor, Tensor):
        got = type(tensor).__name__
        raise PlanError(where, wanted=wanted, got=got, cure="Give scores as a torch.Tensor.")
    if tuple(tensor.shape) != (axis.size,) or not tensor.is_floating_point():
        got = f"{tensor.dtype} of shape {tuple(tensor.shape)}"
        raise PlanError(where, wanted=wanted, got=got, cure="Give one number per unit of the axis.")
    if tensor.is_meta:
        raise PlanError(where, wanted=wanted, got="a meta tensor", cure="Load the model's weights before scoring.")
    return tensor.detach()


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies, made and checked at once where all are of one kind.

    Raises:
        PlanError: a number that is not finite.
    """
    if len({(tensor.dtype, tensor.device) for tensor in tensors.values()}) != 1:
        for name, tensor in tensors.items():
            _check_finite(name, tensor)
        return {name: tensor.clone() for name, tensor in tensors.items()}
    together = torch.cat([*tensors.values()])
    if not torch.isfinite(together).all():
        for name, tensor in tensors.items():
            _check_finite(name, tensor)
    parts = together.split([len(tensor) for tensor in tensors.values()])
    return dict(zip(tensors, parts, strict=True))


def _check_finite(name: str, tensor: Tensor) -> None:
    finite = torch.isfinite(tensor)
    if not finite.all():
        first, where = int((~finite).nonzero()[0, 0]), f"scores[{name!r}]"
        got = f"{float(tensor[first])} at unit {first} ({int((~finite).sum())} of {len(tensor)} are not finite)"
        cure = "Look for NaN or infinity in the model's weights and in the data scored on."
        raise PlanError(where, wanted="finite scores", got=got, cure=cure)
