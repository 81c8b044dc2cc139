"""Scores from each rank's part of the images against scores from all of them."""

import pytest

from tests.distributed import _scores
from tests.distributed._ranks import run_ranks


@pytest.mark.slow
def test_ranks_score_and_plan_as_one_process() -> None:
    ranks = run_ranks("tests.distributed._scores", "decided")
    assert [rank.code for rank in ranks] == [0, 0], ranks[0].errors + ranks[1].errors
    one, first = _scores.decided(), ranks[0].value
    assert ranks[1].value == first
    assert first["removed"] == one["removed"]
    assert first["removed"]
    for name, scores in one["scores"].items():
        assert first["scores"][name] == pytest.approx(scores, rel=1e-12)
    assert one["heard"] == "nothing"
    assert "numbers that differ from rank to rank" in first["heard"]


@pytest.mark.slow
def test_contributions_add_up_over_ranks() -> None:
    ranks = run_ranks("tests.distributed._scores", "contributions")
    assert [rank.code for rank in ranks] == [0, 0], ranks[0].errors + ranks[1].errors
    one = _scores.contributions()
    assert ranks[1].value == ranks[0].value
    for name, scores in one.items():
        assert ranks[0].value[name] == pytest.approx(scores, rel=1e-5)


@pytest.mark.slow
def test_ranks_find_the_same_memorisation_as_one_process() -> None:
    ranks = run_ranks("tests.distributed._scores", "memorised")
    assert [rank.code for rank in ranks] == [0, 0], ranks[0].errors + ranks[1].errors
    one = _scores.memorised()
    assert ranks[1].value == ranks[0].value
    for name, seen in one.items():
        assert ranks[0].value[name]["images"] == seen["images"]
        assert ranks[0].value[name]["values"] == pytest.approx(seen["values"], abs=1e-6)
        assert ranks[0].value[name]["activations"] == pytest.approx(seen["activations"], abs=1e-5)


@pytest.mark.slow
def test_criteria_that_share_a_pass_add_up_over_ranks() -> None:
    ranks = run_ranks("tests.distributed._scores", "streamed")
    assert [rank.code for rank in ranks] == [0, 0], ranks[0].errors + ranks[1].errors
    one = _scores.streamed()
    assert ranks[1].value == ranks[0].value
    for criterion, scores in one.items():
        for name, values in scores.items():
            assert ranks[0].value[criterion][name] == pytest.approx(values, rel=1e-4, abs=1e-8), criterion
