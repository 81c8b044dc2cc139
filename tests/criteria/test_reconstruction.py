"""`Reconstruction` gives the increases of least-squares errors, found here by solving every one of them."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import ConfigError, trace
from secateurs.criteria import Reconstruction


def _oracle(parts: Tensor, wanted: Tensor) -> Tensor:
    """Scores of units with columns [rows, units, columns of each]: greedily, every error by itself."""
    wanted = wanted - wanted.mean(0)
    left, scores, before = list(range(parts.shape[1])), torch.zeros(parts.shape[1]).double(), 0.0

    def error(kept: list[int]) -> float:
        columns = parts[:, kept].reshape(len(parts), -1)
        columns = columns - columns.mean(0)
        rest = wanted - columns @ torch.linalg.lstsq(columns, wanted).solution if kept else wanted
        return float(rest.square().sum() / wanted.square().sum())

    while left:
        errors = {unit: error([other for other in left if other != unit]) for unit in left}
        unit = min(errors, key=lambda unit: errors[unit])
        scores[unit] = max(errors[unit] - before, float(scores.max()))  # none has less than one that goes before it
        before = errors[unit]
        left.remove(unit)
    return scores


def test_scores_are_the_increases_of_the_error_of_a_convolution() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1)).double()
    x = torch.randn(30, 3, 7, 7).double()
    with torch.no_grad():
        parts = F.unfold(net[:2](x), 3, padding=1).transpose(1, 2).reshape(-1, 6, 9)
        wanted = net(x).flatten(2).transpose(1, 2).reshape(-1, 4)
    scores = Reconstruction(ridge=1e-12)(trace(net, args=(x[:2],)), [x[:10], x[10:]])
    torch.testing.assert_close(scores["0"], _oracle(parts, wanted), rtol=1e-6, atol=1e-9)


def test_scores_are_the_increases_of_the_error_of_a_linear_map() -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 3)).double()
    x = torch.randn(80, 5).double()
    with torch.no_grad():
        parts, wanted = net[:2](x)[:, :, None], net(x)
    scores = Reconstruction(ridge=1e-12)(trace(net, args=(x[:2],)), [x])
    torch.testing.assert_close(scores["0"], _oracle(parts, wanted), rtol=1e-6, atol=1e-9)


def test_a_unit_that_others_can_make_up_for_scores_nothing() -> None:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 3)).double()  # six units of five inputs
    x = torch.randn(80, 5).double()
    scores = Reconstruction(ridge=1e-10)(trace(net, args=(x[:2],)), [x])["0"].sort().values
    assert float(scores[0]) < 1e-6 < 1e-3 < float(scores[1])


def test_several_units_at_a_time_are_scored_as_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secateurs.criteria._reconstruction._ROUNDS", 4)
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 3)).double()
    with torch.no_grad():
        net[0].weight[4], net[0].bias[4] = net[0].weight[1], net[0].bias[1]  # type: ignore[index, operator]
    x = torch.randn(80, 5).double()
    with torch.no_grad():
        parts, wanted = net[:2](x)[:, :, None], net(x)
    found, expected = Reconstruction(ridge=1e-12)(trace(net, args=(x[:2],)), [x])["0"], _oracle(parts, wanted)
    for scores in (found, expected):  # which of two units that are the same goes first is up to rounding
        scores[[1, 4]] = scores[[1, 4]].sort().values
    torch.testing.assert_close(found, expected, rtol=0.01, atol=1e-6)


def test_layers_that_are_too_wide_are_judged_by_their_channels() -> None:
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1)).double()
    with torch.no_grad():
        net[0].weight[4], net[0].bias[4] = 2 * net[0].weight[1], 2 * net[0].bias[1]  # type: ignore[index, operator]
    x = torch.randn(12, 3, 7, 7).double()
    scores = Reconstruction(moments_bytes=1000)(trace(net, args=(x[:2],)), [x])["0"]
    assert scores.argmin() in (1, 4)
    assert float(scores.min()) < 1e-2 * float(scores.sort().values[1])


@pytest.mark.parametrize("name", ["ridge", "rows", "moments_bytes"])
def test_numbers_that_make_no_sense_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"reconstruction' {name}"):
        Reconstruction(**{name: 0})
