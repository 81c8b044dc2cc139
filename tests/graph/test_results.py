"""What operators are said to return on meta tensors is what torch returns."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from secateurs.graph._grounds import MetaGround
from secateurs.graph._meta import Shadows, shadow
from secateurs.graph._results import RESULTS
from secateurs.graph._trace import _run
from tests.zoo import ZOO

aten = torch.ops.aten


class Checked(Shadows):
    """Compares every quick answer with torch's own."""

    checked = 0

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        quick = RESULTS[func](*args, **kwargs) if func in RESULTS else None
        if quick is not None:
            self.checked += 1
            assert facts(func, quick) == facts(func, func(*args, **kwargs)), func
        return super().run(func, args, kwargs)


def facts(func: Any, result: Any) -> list[Any]:
    """Shape, type and strides of all results; those of size 1 have no say."""
    tensors = list(result) if isinstance(result, tuple) else [result]
    counted = tensors[:1] if func is aten.native_batch_norm.default else tensors
    strides = [[s for s, size in zip(t.stride(), t.shape, strict=True) if size > 1] for t in counted]
    return [[tuple(t.shape) for t in counted], strides, [t.dtype for t in counted], len(tensors)]


@pytest.mark.parametrize("name", ["residual", "encoder", "dense_concatenation", "grouped_query_expand", "write_slice"])
def test_quick_answers_are_those_of_torch(name: str) -> None:
    ground = MetaGround(torch.device("cpu"))
    ground.shadows = Checked(torch.device("cpu"))
    _run(ZOO[name].build(), ZOO[name].arguments(2), ZOO[name].keywords(2), ground=ground, free_outputs=False)
    assert ground.shadows.checked > 3


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


CALLS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "mixed types": lambda: (aten.add.Tensor, empty(2, 3), empty(2, 3, dtype=torch.float64)),
    "integers": lambda: (aten.mul.Tensor, empty(2, dtype=torch.int64), 0.5),
    "a number": lambda: (aten.mul.Tensor, empty(2, 3), 2),
    "broadcast": lambda: (aten.add.Tensor, empty(2, 3, 4), empty(3, 1)),
    "wider second": lambda: (aten.add.Tensor, empty(4), empty(2, 3, 4)),
    "transposed": lambda: (aten.add.Tensor, empty(3, 2).t(), empty(2, 3)),
    "alike transposed": lambda: (aten.add.Tensor, empty(3, 2).t(), empty(3, 2).t()),
    "channels last": lambda: (aten.relu.default, empty(2, 3, 4, 5).to(memory_format=torch.channels_last)),
    "expanded": lambda: (aten.gelu.default, empty(2, 1).expand(2, 3)),
    "every second": lambda: (aten.silu.default, empty(4, 4)[:, ::2]),
    "boolean": lambda: (aten.neg.default, empty(2, dtype=torch.int32)),
    "half": lambda: (aten.softmax.int, empty(2, 3, dtype=torch.float16), 1),
    "to a full type": lambda: (aten._softmax.default, empty(2, 3, dtype=torch.float16), 1, False),
    "mean over nothing": lambda: (aten.mean.dim, empty(2, 3), []),
    "mean over all": lambda: (aten.mean.dim, empty(2, 3), [0, -1], True),
    "strided": lambda: (aten.convolution.default, empty(1, 4, 9), empty(6, 2, 3), None, [2], [1], [2], False, [0], 2),
    "transposed convolution": lambda: (
        *(aten.convolution.default, empty(1, 4, 9), empty(4, 2, 3), None, [2], [1], [1], True, [1], 1),
    ),
    "channels last kernel": lambda: (
        *(aten.convolution.default, empty(1, 4, 9, 9)),
        *(empty(6, 4, 3, 3).to(memory_format=torch.channels_last), None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
    ),
    "channels last data": lambda: (
        *(aten.convolution.default, empty(2, 4, 9, 9).to(memory_format=torch.channels_last)),
        *(empty(4, 1, 3, 3), None, [1, 1], [1, 1], [1, 1], False, [0, 0], 4),
    ),
    "channels last by a view": lambda: (
        *(aten.convolution.default, empty(1, 36, 4).transpose(1, 2).reshape(1, 4, 6, 6)),
        *(empty(4, 4, 2, 2), None, [2, 2], [0, 0], [1, 1], False, [0, 0], 1),
    ),
    "one row": lambda: (
        *(aten.convolution.default, empty(2, 4, 9, 9).to(memory_format=torch.channels_last)[:, :, :1]),
        *(empty(5, 4, 1, 1), empty(5), [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
    ),
    "bias of another shape": lambda: (aten.addmm.default, empty(2, 3), empty(2, 4), empty(4, 3)),
    "layer norm over two": lambda: (aten.native_layer_norm.default, empty(2, 3, 4), [3, 4], None, None, 1e-5),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_out_of_the_usual_are_right_or_left_to_torch(name: str) -> None:
    func, *args = CALLS[name]()
    hollow = [shadow(arg) if isinstance(arg, Tensor) else arg for arg in args]
    quick = RESULTS.get(func, lambda *_: None)(*hollow)
    assert quick is None or facts(func, quick) == facts(func, func(*args))


def test_writing_in_place_counts_as_writing() -> None:
    target = shadow(empty(2, 3))
    assert RESULTS[aten.relu_.default](target) is target
    assert target._version == 1
