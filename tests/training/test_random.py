import random

import numpy as np
import torch

from secateurs.training._random import preserved_generators, seed_epoch


def draw(seed: int, epoch: int) -> tuple[float, float, float]:
    seed_epoch(seed, epoch)
    return float(torch.rand(())), random.random(), float(np.random.rand())


def test_equal_keys_draw_equal_numbers_and_others_do_not() -> None:
    with preserved_generators(torch.device("cpu")):
        drawn = [draw(0, 0), draw(0, 1), draw(1, 0), draw(1, 1), draw(0, 0)]
    assert drawn[0] == drawn[4]
    for position in range(3):
        assert len({numbers[position] for numbers in drawn}) == 4
