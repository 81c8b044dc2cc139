"""How alike cuts are, and norms before and after."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from secateurs._files import save_tensors
from secateurs.reporting import channel_difference, norm_histogram

sets = st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(0, 5)), max_size=3)


def test_by_hand() -> None:
    first, second = {"a": [0, 1], "b": [5]}, {"a": [1, 2], "b": [5], "c": []}
    assert channel_difference(first, second) == 0.5
    # Pooled over layers: not the mean of 1 - 0/1 and 1 - 3/3.
    assert channel_difference({"a": [0], "b": [1, 2, 3]}, {"b": [1, 2, 3]}) == 0.25
    assert channel_difference({}, {"a": []}) == 0.0


@given(first=sets, second=sets)
def test_it_is_a_distance_between_0_and_1(first: dict[str, set[int]], second: dict[str, set[int]]) -> None:
    found = channel_difference(first, second)
    assert 0 <= found <= 1
    assert found == channel_difference(second, first)
    assert channel_difference(first, first) == 0
    a, b = ({(layer, unit) for layer, units in own.items() for unit in units} for own in (first, second))
    assert (found == 0) == (a == b)
    assert found == (pytest.approx(1 - len(a & b) / len(a | b)) if a | b else 0)


def test_norms_are_means_over_a_filter_in_the_same_bins(tmp_path: Path) -> None:
    weight = torch.tensor([1.0, -2.0, 4.0])[:, None, None, None].expand(3, 2, 3, 3)
    for name, own in (("before", weight), ("after", weight[1:])):
        save_tensors(tmp_path / name, {"conv.weight": own, "norm.weight": torch.ones(9), "conv.bias": torch.ones(3)})
    found = norm_histogram(tmp_path / "before", tmp_path / "after", bins=4)
    assert found.edges == (0, 1, 2, 3, 4)
    assert found.before == (0, 1, 1, 1)
    assert found.after == (0, 0, 1, 1)
