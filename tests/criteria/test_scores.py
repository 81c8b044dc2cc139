from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from secateurs._errors import PlanError
from secateurs.criteria import Scores
from tests.criteria._toys import toy


def _values() -> dict[str, Tensor]:
    return {"0": torch.arange(7.0), "2": torch.ones(5, dtype=torch.float64)}


def test_scores_are_a_read_only_mapping_in_the_order_of_axes() -> None:
    scores = Scores(dict(reversed(_values().items())), toy("chain")[0].axes)
    assert isinstance(scores, Mapping)
    assert list(scores) == ["0", "2"]
    assert len(scores) == 2
    assert torch.equal(scores["0"], torch.arange(7.0))
    assert not hasattr(scores, "__setitem__")


def test_later_changes_of_the_source_do_not_reach_the_scores() -> None:
    values = _values()
    values["0"].requires_grad_()
    scores = Scores(values, toy("chain")[0].axes)
    values["0"].detach().zero_()
    assert torch.equal(scores["0"], torch.arange(7.0))
    assert not scores["0"].requires_grad


def test_printing_shows_the_spread() -> None:
    scores = Scores(_values(), toy("chain")[0].axes)
    assert repr(scores) == "Scores(2 axes, 12 units)"
    assert [row.split() for row in str(scores).splitlines()] == [
        ["axis", "units", "lowest", "median", "highest"],
        ["0", "7", "0", "3", "6"],
        ["2", "5", "1", "1", "1"],
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"O": torch.ones(7)}, r"scores\['O'\]: wanted the name of an axis, got no such axis"),
        ({"2": None}, r"scores\['2'\]: wanted a floating tensor of shape \(5,\), got no scores"),
        ({"2": [1.0] * 5}, r"got list"),
        ({"2": torch.ones(4)}, r"wanted a floating tensor of shape \(5,\), got torch.float32 of shape \(4,\)"),
        ({"2": torch.ones(5, 1)}, r"got torch.float32 of shape \(5, 1\)"),
        ({"2": torch.ones(5, dtype=torch.int64)}, r"got torch.int64"),
        ({"2": torch.ones(5, device="meta")}, r"got a meta tensor"),
        ({"2": torch.tensor([1, 1, float("nan"), 1, -float("inf")])}, r"got nan at unit 2 \(2 of 5 are not finite\)"),
    ],
)
def test_scores_that_make_no_sense_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Scores({**_values(), **change}, toy("chain")[0].axes)


def test_the_nearest_axis_is_named() -> None:
    axes: Any = [SimpleNamespace(name="layer1.0.conv1", size=2)]
    with pytest.raises(PlanError, match=r"Did you mean 'layer1\.0\.conv1'\?"):
        Scores({"layer1.0.conv": torch.ones(2)}, axes)
