"""Values across ranks against the same made in one process."""

import pytest
import torch

from secateurs import _distributed
from tests.distributed import _values
from tests.distributed._ranks import run_ranks

_MODULE = "tests.distributed._values"


def test_two_ranks_exchange_values() -> None:
    ranks = run_ranks(_MODULE, "everything", seed=3)
    assert [rank.code for rank in ranks] == [0, 0], ranks[0].errors + ranks[1].errors
    first, second = (rank.value for rank in ranks)
    wanted = [a + b for a, b in zip(_values.mine(3, 0), _values.mine(3, 1), strict=True)]
    for total, found in zip(wanted, first["sums"], strict=True):
        torch.testing.assert_close(torch.tensor(found, dtype=total.dtype), total, rtol=1e-6, atol=0)
    assert first == second
    assert first["largest"] == [[1.0], 0]
    assert first["means"] == [[0.5, 0.5], [0.5, 0.5]]
    assert first["first"][:2] == [[0, 0, 0], True]
    assert first["told"] == {"é": [0, None, 1.5]}
    assert first["decided"] == [0, "x"]
    assert first["gathered"] == ["", "long"]
    assert first["any"] == [True, False]
    assert first["refused"] == "BudgetError remove: wanted less, got too much. Ask for less."
    assert first["different"][0] == "same"
    assert "other values on rank 1 than on rank 0" in first["different"][1]


def test_nothing_happens_in_one_process() -> None:
    values = [torch.tensor([1.0, 2.0])]
    _distributed.all_reduce(values)
    _distributed.average(values)
    _distributed.broadcast_tensors(values)
    _distributed.barrier()
    assert values[0].tolist() == [1.0, 2.0]
    assert (_distributed.rank(), _distributed.world(), _distributed.is_first()) == (0, 1, True)
    assert _distributed.broadcast([1]) == [1]
    assert _distributed.decided(lambda: (1, 2)) == (1, 2)
    assert _distributed.gather("a") == ["a"]
    assert _distributed.any_rank(True)
    assert not _distributed.any_rank(False)


def test_fingerprint_sees_names_shapes_types_and_bits() -> None:
    plain = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
    others = [
        {"a": torch.zeros(2, 3), "c": torch.ones(1)},
        {"a": torch.zeros(3, 2), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3, dtype=torch.int32), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3), "b": torch.full((1,), 1 + 1e-7)},
        {"a": -torch.zeros(2, 3), "b": torch.ones(1)},
    ]
    prints = [_distributed.fingerprint(each) for each in (plain, *others)]
    assert len(set(prints)) == len(prints)
    assert _distributed.fingerprint({"b": torch.ones(1), "a": torch.zeros(3, 2).t()}) == prints[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("killed", "RankError rank 0: wanted an answer of the other ranks"),
        ("hangs", "RankError rank 0: wanted an answer of the other ranks"),
        ("raises", "RankError rank 0: wanted all ranks to go on, got an error on rank 1: ZeroDivisionError: of rank 1"),
    ],
)
def test_the_end_of_a_rank_is_told_to_the_other(how: str, wanted: str) -> None:
    first, second = run_ranks(_MODULE, "one_fails", timeout_s=3, how=how)
    assert first.value is not None, first.errors
    assert first.value.startswith(wanted)
    if how == "raises":
        assert "ZeroDivisionError: of rank 1" in second.errors
