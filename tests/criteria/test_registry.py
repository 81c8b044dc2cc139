from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from torch import Tensor

from secateurs._errors import ConfigError
from secateurs.criteria import Criterion, Loss, Magnitude, Random, build, names, register
from secateurs.graph import Graph


def test_criteria_are_built_by_name() -> None:
    assert {"magnitude", "random"} <= set(names())
    assert build("magnitude") == Magnitude()
    assert build("magnitude", p=1, normalize="mean") == Magnitude(p=1, normalize="mean")
    assert build("random", seed=7) == Random(seed=7)


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"wanted one of .*, got 'magnitud'\. Did you mean 'magnitude'"):
        build("magnitud")


def test_an_unknown_option_gives_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"option: wanted one of p, normalize, got 'normalise'.*'normalize'"):
        build("magnitude", normalise="mean")


def test_a_wrong_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="p: wanted a number"):
        build("magnitude", p="two")


def test_a_name_is_given_once() -> None:
    class Other(Criterion):
        def score(self, graph: Graph, batches: Iterable[Any] | None, loss: Loss | None) -> Mapping[str, Tensor]:
            return {}

    with pytest.raises(ConfigError, match="wanted a new name, got Other, and Magnitude has that name"):
        register("magnitude")(Other)
