"""What each input contributes to what a weight computes from them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from secateurs.criteria._readings import Reading, Sliding

__all__ = ["Parts"]

# Numbers in one intermediate tensor of a maximum: on a processor, what stays in a core's cache, which is three times as
# fast as what does not; elsewhere the launch of a kernel counts.
_MOST = {"cpu": 2**18}
_MOST_ELSEWHERE = 2**24


class Parts:
    """Contributions c = |w a| / sum |w a| within one call, or w a / sum w a where `signed`; 0 where the sum is 0."""

    def __init__(self, reading: Reading, *, signed: bool) -> None:
        self._sliding = reading.sliding
        dtype = torch.promote_types(reading.inputs.dtype, torch.float32)
        inputs, weight = reading.inputs.detach().to(dtype), reading.weight.detach().to(dtype)
        self._inputs, self._weight = (inputs, weight) if signed else (inputs.abs(), weight.abs())
        totals = self._mapped(self._inputs, self._weight, self._sliding)
        # In place, since these tensors are as large as the activations. What is not a number is left to be seen.
        self._inverse = totals.reciprocal_().nan_to_num_(nan=torch.nan, posinf=0.0, neginf=0.0)

    @property
    def outputs(self) -> int:
        """Outputs that read a position; in groups, it stands for one channel of each, but where transposed."""
        transposed = self._sliding is not None and self._sliding.transposed
        return self._weight.shape[1 if transposed else 0]

    @property
    def inputs(self) -> int:
        """Positions on the dim that reads."""
        if self._sliding is None or self._sliding.transposed:
            return self._inputs.shape[1]
        return self._weight.shape[1]

    @property
    def rows(self) -> int:
        """Samples, times positions of a convolution."""
        return self._inverse.numel() // max(self._inverse.shape[1], 1)

    def sums(self) -> Tensor:
        """float64 [positions of the reading dim], summed over rows and outputs."""
        sliding = self._sliding
        if sliding is None:
            # Over outputs first or over rows, whichever leaves less to add up.
            if self.rows < self.outputs:
                return (self._inverse @ self._weight).mul_(self._inputs).sum(0).double()
            return (self._inverse.t() @ self._inputs).mul_(self._weight).sum(0).double()
        # The gradient of sum(totals * inverse): how often, and how strongly, each input is read.
        given = torch.ops.aten.convolution_backward(
            self._inverse, self._inputs, self._weight, None, *sliding.arguments, [True, False, False]
        )[0]
        others = [dim for dim in range(self._inputs.dim()) if dim != 1]
        return self._per_position((self._inputs * given).sum(others).double())

    def highest(self, columns: Tensor) -> Tensor:
        """float64 [units]: the largest contribution of each unit to any output of any row.

        Args:
            columns: int64 [units, n], the positions on the reading dim that are a unit's; -1 for none.
        """
        return self._highest_linear(columns) if self._sliding is None else self._highest_sliding(columns)

    def _highest_linear(self, columns: Tensor) -> Tensor:
        most = _most(self._inverse)
        rows = min(self.rows, max(1, most // self.outputs))
        step = max(1, most // (rows * self.outputs))
        blocks = zip(self._inputs.split(rows), self._inverse.split(rows), strict=True)
        return torch.stack([self._highest_in(*block, columns, step) for block in blocks]).amax(0)

    def _highest_in(self, inputs: Tensor, inverse: Tensor, columns: Tensor, step: int) -> Tensor:
        """Of some rows, `step` units at a time."""
        present = (columns >= 0).to(self._weight.dtype)
        found = []
        for some, there in zip(columns.clamp(min=0).split(step), present.split(step), strict=True):
            own = (inputs[:, some] * there).movedim(1, 0)  # [units, rows, n]
            products = own @ self._weight[:, some].permute(1, 2, 0)  # [units, rows, outputs]
            found.append(products.mul_(inverse).amax((1, 2)).double())
        return torch.cat(found)

    def _highest_sliding(self, columns: Tensor) -> Tensor:
        assert self._sliding is not None
        sliding, weight = _ungrouped(self._weight, self._sliding)
        reads = 0 if sliding.transposed else 1
        found = []
        for own in columns:
            channels = self._channels(own[own >= 0].tolist())
            chosen = torch.tensor(channels, device=weight.device)
            part = self._mapped(self._inputs.index_select(1, chosen), weight.index_select(reads, chosen), sliding)
            found.append(part.mul_(self._inverse).amax().double())
        return torch.stack(found)

    def _mapped(self, inputs: Tensor, weight: Tensor, sliding: Sliding | None) -> Tensor:
        if sliding is None:
            return inputs @ weight.t()
        result: Tensor = torch.ops.aten.convolution(inputs, weight, None, *sliding.arguments)
        return result

    def _per_position(self, channels: Tensor) -> Tensor:
        """From one number per channel to one per position of the reading dim: in groups, several share one."""
        sliding = self._sliding
        if sliding is None or sliding.transposed:
            return channels
        return channels.reshape(sliding.groups, -1).sum(0)

    def _channels(self, positions: Sequence[int]) -> list[int]:
        sliding = self._sliding
        if sliding is None or sliding.transposed:
            return list(positions)
        inner = self._weight.shape[1]
        return [group * inner + position for group in range(sliding.groups) for position in positions]


def _most(where: Tensor) -> int:
    return _MOST.get(where.device.type, _MOST_ELSEWHERE)


def _ungrouped(weight: Tensor, sliding: Sliding) -> tuple[Sliding, Tensor]:
    """The same convolution without groups: zeros where a group does not read."""
    groups = sliding.groups
    if groups == 1:
        return sliding, weight
    outer, inner = weight.shape[0] // groups, weight.shape[1]
    whole = weight.new_zeros(groups, outer, groups, inner, *weight.shape[2:])
    for group, own in enumerate(weight.reshape(groups, outer, *weight.shape[1:])):
        whole[group, :, group] = own
    plain = Sliding(
        stride=sliding.stride,
        padding=sliding.padding,
        dilation=sliding.dilation,
        transposed=sliding.transposed,
        output_padding=sliding.output_padding,
    )
    return plain, whole.reshape(groups * outer, groups * inner, *weight.shape[2:])
