"""What each rank does in tests/distributed/test_values.py."""

import os
import signal
import time
from typing import Any

import torch

from secateurs import _distributed
from secateurs._errors import BudgetError, SecateursError
from secateurs._process_group import guarded


def everything(seed: int) -> dict[str, Any]:
    """Every function of `_distributed` once."""
    rank = _distributed.rank()
    values = mine(seed, rank)
    _distributed.all_reduce(values)
    largest = [torch.tensor([float(rank)]), torch.tensor(-rank)]
    _distributed.all_reduce(largest, "max")
    means = [torch.full((2, 2), float(rank), dtype=torch.float64)]
    _distributed.average(means)
    first = [torch.full((3,), rank), torch.tensor(rank == 0), torch.randn(2, 3) + rank]
    _distributed.broadcast_tensors(first)
    return {
        "sums": [value.tolist() for value in values],
        "largest": [value.tolist() for value in largest],
        "means": means[0].tolist(),
        "first": [value.tolist() for value in first],
        "told": _distributed.broadcast({"é": [rank, None, 1.5]}),
        "decided": _distributed.decided(lambda: [rank, "x"]),
        "gathered": _distributed.gather("long" * rank),
        "any": [_distributed.any_rank(rank == 1), _distributed.any_rank(False)],
        "refused": refused(),
        "different": different(),
    }


def mine(seed: int, rank: int) -> list[torch.Tensor]:
    """Tensors of several types and shapes, others on each rank; one is not contiguous."""
    generator = torch.Generator().manual_seed(seed + rank)
    double = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    return [double.t(), torch.arange(5) * (rank + 1), torch.zeros(0), torch.tensor(1.5 + rank), double[0].float()]


def refused() -> str:
    """What each rank hears when rank 0 refuses."""

    def refuse() -> None:
        raise BudgetError("remove", wanted="less", got="too much", cure="Ask for less.")

    try:
        _distributed.decided(refuse)
    except SecateursError as error:
        return f"{type(error).__name__} {error}"
    return "nothing"


def different() -> list[str]:
    """What each rank hears of equal tensors and of others."""
    heard = []
    for value in (torch.zeros(2), torch.full((2,), float(_distributed.rank()))):
        try:
            _distributed.check_same("weights", {"w": value})
            heard.append("same")
        except SecateursError as error:
            heard.append(str(error))
    return heard


def one_fails(how: str) -> str:
    """Rank 1 ends in the middle; what rank 0 hears."""
    _distributed.barrier()
    try:
        with guarded():
            if _distributed.rank() == 1:
                _fail(how)
            _distributed.all_reduce([torch.zeros(3)])
            _distributed.all_reduce([torch.zeros(3)])
    except SecateursError as error:
        return f"{type(error).__name__} {error}"
    return "nothing"


def _fail(how: str) -> None:
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "hangs":
        time.sleep(8)
    else:
        raise ZeroDivisionError("of rank 1")
