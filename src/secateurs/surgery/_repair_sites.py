"""Where in a running model weights meet their inputs, and where stored statistics are used."""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from secateurs.graph import from_data, tensors_of
from secateurs.statistics import Window
from secateurs.surgery._repair_lanes import Operator

__all__ = ["Site", "Sites"]

_aten = torch.ops.aten
_NORMS = {
    f"aten.{name}"
    for name in (
        *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
        *("_batch_norm_with_update", "_batch_norm_no_update", "cudnn_batch_norm", "miopen_batch_norm", "batch_norm"),
    )
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """An operator that uses a weight, or stored statistics.

    Attributes:
        path: of the weight, or of the stored means.
        inputs: [B, C, *places], or [..., C] of a linear map.
        weight: [outputs, inputs of a group, *kernel], a view of the model's own; of norms the stored means.
        other: the bias, or of norms the stored variances.
        first: where the outputs begin in the weight's own, where only a slice of it is used.
        makes: the dim of the weight at `path` that the outputs are on; of norms 0.
        window: of convolutions.
        hinders: why this use cannot be repaired; empty if it can.
    """

    kind: Literal["map", "norm"]
    path: str
    inputs: Tensor
    weight: Tensor
    other: Tensor | None
    first: int = 0
    makes: int = 0
    window: Window = field(default_factory=Window)
    hinders: str = ""


class Sites:
    """Knows weights by their memory, in convolutions and matrix products, whatever module or function calls them.

    Args:
        model: that runs, or that shares its tensors with what runs.
    """

    def __init__(self, model: nn.Module) -> None:
        self._tensors: dict[int, list[tuple[str, Tensor]]] = {}
        for path, tensor in tensors_of(model).items():
            self._tensors.setdefault(tensor.untyped_storage()._cdata, []).append((path, tensor))

    def at(self, operator: Operator) -> Site | None:
        """What an operator uses; None for most."""
        func, args = operator.func, operator.args
        if func is _aten.convolution.default:
            return self._convolution(*args)
        if func is _aten.addmm.default:
            return self._product(args[1], args[2], args[0], plain=not operator.kwargs)
        if func is _aten.mm.default:
            return self._product(args[0], args[1], None)
        if func is _aten.bmm.default and len(args[1]) == 1:
            return self._product(args[0][0], args[1][0], None)
        if func is _aten.linear.default:
            return self._product(args[0], args[1].t(), args[2] if len(args) > 2 else None)
        if str(func.overloadpacket) in _NORMS and not from_data(func, args):
            return self._norm(*args[:5])
        return None

    def _of(self, tensor: Any) -> tuple[str, Tensor] | None:
        if not isinstance(tensor, Tensor) or tensor.layout != torch.strided:
            return None
        for path, own in self._tensors.get(tensor.untyped_storage()._cdata, ()):
            offset = int(tensor.storage_offset()) - int(own.storage_offset())
            if tensor.dim() == own.dim() and offset >= 0 and tensor.numel() + offset <= own.numel():
                return path, own
        return None

    def _convolution(self, inputs: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any) -> Site | None:
        found = self._of(weight)
        if found is None:
            return None
        stride, padding, dilation, transposed, _, groups = arguments
        path, own = found
        first = (int(weight.storage_offset()) - int(own.storage_offset())) // max(1, own.stride(0))
        hinders = "a transposed convolution" if transposed else ""
        if weight.stride() != own.stride() or weight.shape[1:] != own.shape[1:]:
            hinders = "a slice of its weight is used"
        window = Window(
            kernel=tuple(weight.shape[2:]), stride=stride, padding=padding, dilation=dilation, groups=groups
        )
        return Site(
            kind="map", path=path, inputs=inputs, weight=weight, other=bias, first=first, window=window, hinders=hinders
        )

    def _product(self, inputs: Tensor, weight: Tensor, bias: Tensor | None, *, plain: bool = True) -> Site | None:
        """Inputs [..., N] times a weight [N, M]."""
        found = self._of(weight)
        if found is None:
            return None
        path, own = found
        makes = 1 if weight.stride() == own.stride() else 0
        row, column = divmod(int(weight.storage_offset()) - int(own.storage_offset()), max(1, own.stride(0)))
        whole = weight.shape[0] == own.shape[1 - makes] and weight.stride() == (
            own.stride() if makes else own.stride()[::-1]
        )
        hinders = "" if whole and plain else "a slice of what its weight reads is used"
        first = column if makes else row
        return Site(
            kind="map",
            path=path,
            inputs=inputs,
            weight=weight.t(),
            other=bias,
            first=first,
            makes=makes,
            hinders=hinders,
        )

    def _norm(self, inputs: Tensor, _weight: Any, _bias: Any, mean: Any, variance: Any) -> Site | None:
        found = self._of(mean)
        if found is None or self._of(variance) is None:
            return None
        return Site(kind="norm", path=found[0], inputs=inputs, weight=mean, other=variance)
