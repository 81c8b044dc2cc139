"""Which values a trial has. Each proposal follows from the seed, its number and the trials before, and nothing else,
so that a sweep that was killed goes on as if it had not been."""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from secateurs.sweeps._config import Sweep
from secateurs.sweeps._optuna import optuna_values
from secateurs.sweeps._space import draw, grid_values
from secateurs.sweeps._trial import Trial

__all__ = ["propose"]

_ATTEMPTS = 1000


def propose(sweep: Sweep, trials: Sequence[Trial]) -> dict[str, Any] | None:
    """The values of the next trial; None where there is none that was not tried.

    Args:
        trials: all so far, in order.
    """
    number = len(trials)
    if number >= sweep.count:
        return None
    if sweep.search == "grid":
        return _of_grid(sweep, number)
    tried = {_key(trial.values) for trial in trials}
    for attempt in range(_ATTEMPTS):
        seed = _seed(sweep.seed, number, attempt)
        # A sampler that keeps to what was tried is helped out by chance.
        learn = sweep.search == "optuna" and attempt < _ATTEMPTS // 100
        values = optuna_values(sweep, trials, seed) if learn else _at_random(sweep, seed)
        if _key(values) not in tried:
            return values
    return None


def _of_grid(sweep: Sweep, number: int) -> dict[str, Any]:
    """The combination of that number, the last dimension changing first."""
    found: dict[str, Any] = {}
    for key, dimension in reversed(sweep.space.items()):
        known = grid_values(key, dimension)
        number, index = divmod(number, len(known))
        found[key] = known[index]
    return {key: found[key] for key in sweep.space}


def _at_random(sweep: Sweep, seed: int) -> dict[str, Any]:
    source = random.Random(seed)
    return {key: draw(dimension, source) for key, dimension in sweep.space.items()}


def _seed(seed: int, number: int, attempt: int) -> int:
    """Hashed, because sums of these would repeat each other."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}/{attempt}".encode()).digest()[:4], "little") >> 1


def _key(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
