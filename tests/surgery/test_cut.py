"""Cutting one tensor."""

import pytest
import torch

from secateurs.graph import Cut
from secateurs.surgery import _cut
from secateurs.surgery._cut import cut_tensor


def _cuts(shape: tuple[int, ...], dims: tuple[int, ...]) -> list[Cut]:
    return [Cut(path="weight", dim=dim, size=shape[dim], removed=(0, shape[dim] - 2)) for dim in dims]


@pytest.mark.parametrize("large", [0, 40, 2**22])
@pytest.mark.parametrize("dims", [(0,), (1,), (0, 1), (0, 2), (1, 3), (0, 1, 3)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_large_tensors_are_cut_like_small_ones(
    monkeypatch: pytest.MonkeyPatch, large: int, dims: tuple[int, ...], layout: torch.memory_format
) -> None:
    monkeypatch.setattr(_cut, "_LARGE", large)
    shape = (37, 5, 4, 3)
    weight = torch.arange(37 * 5 * 4 * 3.0).reshape(shape).contiguous(memory_format=layout)
    expected = weight
    for dim in dims:
        places = [place for place in range(shape[dim]) if place not in (0, shape[dim] - 2)]
        expected = torch.stack([expected.select(dim, place) for place in places], dim)
    found = cut_tensor(weight, _cuts(shape, dims))
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=layout)
    assert found.untyped_storage().nbytes() == expected.numel() * 4
