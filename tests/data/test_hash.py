"""Keyed random numbers: the published sequence, uniformity, independence."""

import pytest
import torch

from secateurs.data._hash import keyed, keyed_below, keyed_order, mix

# The first outputs of splitmix64 from seed 1234567, as listed for the reference implementation (Vigna, 2015).
REFERENCE = (
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
)


def test_mix_gives_the_reference_sequence() -> None:
    states = [(1234567 + step * 0x9E3779B97F4A7C15) % 2**64 for step in range(len(REFERENCE))]
    signed = torch.tensor([state - 2**64 if state >= 2**63 else state for state in states])
    assert [value % 2**64 for value in mix(signed).tolist()] == list(REFERENCE)


def test_every_bit_is_set_in_half_of_the_numbers() -> None:
    bits = keyed((0, 1, 2), torch.arange(20_000))
    shares = torch.stack([((bits >> bit) & 1).double().mean() for bit in range(64)])
    assert (shares - 0.5).abs().max() < 5 * 0.5 / 20_000**0.5


@pytest.mark.parametrize("bound", [2, 9, 1000])
def test_bounded_numbers_are_uniform(bound: int) -> None:
    count = 200 * bound
    drawn = keyed_below((3, 5), torch.arange(count), bound)
    counts = torch.bincount(drawn, minlength=bound).double()
    assert len(counts) == bound
    chi_squared = ((counts - 200).square() / 200).sum().item()
    assert abs(chi_squared - (bound - 1)) < 5 * (2 * bound) ** 0.5


def test_neighbouring_keys_and_indices_are_unrelated() -> None:
    indices = torch.arange(50_000)
    first, second = (keyed_below((0, epoch), indices, 2**20).double() for epoch in (0, 1))
    pairs = torch.stack([first, second, first.roll(1)])
    assert torch.corrcoef(pairs).fill_diagonal_(0).abs().max() < 5 / 50_000**0.5


def test_one_changed_bit_of_the_key_or_index_changes_half_of_the_bits() -> None:
    indices = torch.arange(1000)
    base = keyed((7, 0), indices)
    for other in (keyed((6, 0), indices), keyed((7, 1), indices), keyed((7, 0), indices ^ 1)):
        changed = base ^ other
        flips = torch.stack([((changed >> bit) & 1).double().mean() for bit in range(64)])
        assert abs(flips.mean().item() - 0.5) < 0.01


def test_parts_of_a_key_are_not_interchangeable() -> None:
    indices = torch.arange(10)
    assert not torch.equal(keyed((1, 2), indices), keyed((2, 1), indices))
    assert not torch.equal(keyed((-1,), indices), keyed((1,), indices))


def test_order_is_a_permutation_that_follows_the_indices() -> None:
    indices = torch.arange(100) * 7
    order = keyed_order((4,), indices)
    assert torch.equal(order.sort().values, torch.arange(100))
    turned = indices.flip(0)
    assert torch.equal(turned[keyed_order((4,), turned)], indices[order])
