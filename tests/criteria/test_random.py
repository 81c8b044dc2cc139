import pytest
import torch
from torch import nn

from secateurs._errors import ConfigError
from secateurs.criteria import Random
from secateurs.graph import trace
from tests.criteria._toys import toy


def test_an_axis_draws_the_same_whatever_the_others_are() -> None:
    deep = trace(nn.Sequential(nn.Linear(4, 7), nn.Linear(7, 9), nn.Linear(9, 3)), (torch.zeros(1, 4),))
    assert torch.equal(Random(seed=3)(deep)["0"], Random(seed=3)(toy("chain")[0])["0"])


def test_seeds_and_axes_draw_differently() -> None:
    model = nn.Sequential(nn.Linear(4, 7), nn.Linear(7, 7), nn.Linear(7, 3))
    graph = trace(model, (torch.zeros(1, 4),))
    first, second = Random(seed=0)(graph), Random(seed=1)(graph)
    assert not torch.equal(first["0"], second["0"])
    assert not torch.equal(first["0"], first["1"])


def test_torchs_own_random_numbers_are_left_alone() -> None:
    graph, _ = toy("chain")
    state = torch.get_rng_state()
    Random()(graph)
    assert torch.equal(torch.get_rng_state(), state)


def test_numbers_are_uniform() -> None:
    graph = trace(nn.Sequential(nn.Linear(1, 20_000), nn.Linear(20_000, 1)), (torch.zeros(1, 1),))
    values = Random()(graph)["0"]
    assert 0 <= values.min() < 0.001
    assert 0.999 < values.max() < 1
    assert abs(float(values.mean()) - 0.5) < 0.01


@pytest.mark.parametrize("seed", [1.5, "1", True, None])
def test_a_seed_that_is_no_integer_is_refused(seed: object) -> None:
    with pytest.raises(ConfigError, match="seed: wanted an integer"):
        Random(seed=seed)  # type: ignore[arg-type]
