"""The forms that a layer may have once directions are gone, and what each costs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from secateurs.eigen._bottleneck import Bottleneck, Widths, core_of, ends_of

__all__ = ["Place", "forms", "full_form"]

Figures = Mapping[str, int]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a layer's cost depends on.

    Attributes:
        inputs, outputs: channels of what the layer, or the bottleneck in its place, takes and gives.
        wide_in, wide_out: channels of the layer between, directions that there are.
        patch: whether input directions are of whole patches.
        offsets: kernel offsets.
        before, behind: positions of one call of the model, on either side of the layer.
        bias: whether there is one.
        itemsize: bytes of a weight.
        rotated: which rotations there are: of inputs, of outputs.
    """

    inputs: int
    outputs: int
    wide_in: int
    wide_out: int
    patch: bool
    offsets: int
    before: int
    behind: int
    bias: bool
    itemsize: int
    rotated: tuple[bool, bool]

    @classmethod
    def of(cls, module: nn.Module, before: int, behind: int, *, patch: bool) -> "Place":
        """That of a layer or bottleneck."""
        core, (inputs, outputs, bias) = core_of(module), ends_of(module)
        offsets = core.weight[0, 0].numel()
        around = (module.into is not None, module.out is not None) if isinstance(module, Bottleneck) else (False, False)
        return cls(
            inputs=inputs,
            outputs=outputs,
            wide_in=core.weight.shape[1],
            wide_out=core.weight.shape[0],
            patch=patch and offsets > 1,
            offsets=offsets,
            before=before,
            behind=behind,
            bias=bias,
            itemsize=core.weight.element_size(),
            rotated=around,
        )

    @property
    def directions(self) -> tuple[int, int]:
        """Of inputs, of outputs."""
        return self.wide_in * (self.offsets if self.patch else 1), self.wide_out

    @property
    def now(self) -> Widths:
        """As it is."""
        return Widths(into=self.wide_in if self.rotated[0] else None, core=self.wide_out, out=self.rotated[1])

    def cost(self, widths: Widths) -> Figures:
        """Parameters, multiply-adds of one call, and bytes."""
        return self._figures(widths.into, widths.core, widths.out)

    def costs(self, columns: IntArray, rows: IntArray, unit: str, *, fold: bool) -> IntArray:
        """In one unit, with so many directions of inputs [n] and outputs [n] left, in the cheapest of `forms`."""
        if self.patch:
            into = self.wide_in if self.rotated[0] else None
            return np.asarray(self._figures(into, np.minimum(columns, rows), True)[unit])
        found = np.asarray(self._figures(columns, rows, True)[unit])
        if fold:
            found = np.minimum(found, self._figures(None, rows, True)[unit])
            found = np.minimum(found, self._figures(columns, self.outputs, False)[unit])
        return found

    def _figures(self, into: Any, core: Any, out: bool) -> dict[str, Any]:
        """Of numbers or arrays."""
        width = self.inputs if into is None else into
        middle = width * core * self.offsets
        before = 0 if into is None else self.inputs * into
        behind = core * self.outputs if out else 0
        params = before + middle + behind + (self.outputs if self.bias else 0)
        macs = before * self.before + (middle + behind) * self.behind
        return {"params": params, "macs": macs, "bytes": params * self.itemsize}


def forms(place: Place, columns: int, rows: int, *, fold: bool) -> Iterator[Widths]:
    """All ways to compute with so many directions of inputs and outputs; the plainest first."""
    if place.patch:
        yield _of_patches(place, columns, rows)
        return
    yield Widths(into=columns, core=rows, out=True)
    if fold:
        yield Widths(into=None, core=rows, out=True)
        yield Widths(into=columns, core=place.outputs, out=False)


def full_form(place: Place) -> Widths:
    """Rotated on both sides, and nothing cut."""
    columns, rows = place.directions
    return next(forms(place, columns, rows, fold=False))


def _of_patches(place: Place, columns: int, rows: int) -> Widths:
    """The smaller side is the layer between: of its directions, as kernels, there are as many as outputs."""
    into = place.wide_in if place.rotated[0] else None
    return Widths(into=into, core=min(columns, rows), out=True)
