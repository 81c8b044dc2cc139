"""Stratified division."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from secateurs.data._partition import draw, stratified, without


@settings(deadline=None, max_examples=60)
@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=80), ratio=st.floats(0, 0.95), seed=st.integers(0, 9))
def test_each_class_gives_its_share_and_keeps_one(labels: list[int], ratio: float, seed: int) -> None:
    tensor = torch.tensor(labels)
    chosen = stratified(tensor, ratio, (seed,))
    rest = without(len(labels), chosen)
    assert torch.equal(torch.cat([chosen, rest]).sort().values, torch.arange(len(labels)))
    for label in set(labels):
        whole, share = labels.count(label), int((tensor[chosen] == label).sum())
        assert abs(share - whole * ratio) < 1 or share == whole - 1
        assert share < whole


def test_the_total_is_the_rounded_share() -> None:
    labels = torch.arange(1000) % 7
    for ratio in (0.1, 0.123, 0.5):
        assert len(stratified(labels, ratio, (0,))) == round(1000 * ratio)


def test_seeds_divide_differently_and_equal_seeds_equally() -> None:
    labels = torch.arange(200) % 4
    first, again, other = (stratified(labels, 0.25, (seed,)).tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("count", [1, 10])
def test_draw_takes_rows_and_more_of_them_are_a_superset(count: int) -> None:
    rows = torch.arange(0, 100, 3)
    drawn = draw(rows, count, (5,))
    assert len(drawn) == count
    assert set(drawn.tolist()) <= set(draw(rows, count + 5, (5,)).tolist()) <= set(rows.tolist())
