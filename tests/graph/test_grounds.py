"""A trace finds the same on meta tensors as on fake ones, and falls back where meta tensors are not enough."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException

from secateurs import GraphError
from secateurs.graph import trace
from secateurs.graph._grounds import FakeGround, Ground, MetaGround, RealGround
from secateurs.graph._labels import Algebra
from secateurs.graph._meta import common_device
from secateurs.graph._record import Record
from secateurs.graph._trace import _run
from tests.zoo import ZOO

DATA_DEPENDENT = (
    *("experts_where", "experts_one_hot", "experts_mask", "experts_loop"),
    "data_dependent",
    "index_nothing",
    "reorder_listed",
    "reorder_mask",
)
"""Zoo models whose code looks at values of its input or of its weights."""

OTHER_STRIDES = (
    *("norm_batch_plain", "norm_frozen", "table_bag_sum", "table_bag_mean", "table_bag_max"),  # by-products
    "lstm_packed",
    "gru_packed",
)
"""Unpacked sequences lie in memory in another order, so that a linear layer takes other operators."""


def findings(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], ground: Ground) -> dict[str, Any]:
    """Everything that a trace wrote down, as plain values."""
    algebra, record, weights = _run(model, args, kwargs, ground=ground, free_outputs=False)
    found = {
        path: [None if label is None else named(algebra, label) for label in info.labels]
        for path, info in weights.items()
    }
    return {"weights": found, **said(algebra, record)}


def said(algebra: Algebra, record: Record) -> dict[str, Any]:
    """The ledger, with labels by their atoms."""

    def names(labels: Any) -> list[Any]:
        return [named(algebra, label) for label in labels if label is not None]

    return {
        "uncounted": record.uncounted,
        "used": record.used,
        "terms": [(term.where, term.factor, term.work, names(term.labels)) for term in record.terms],
        # Numbers that the code makes take fewer operators and storages here: `lift_fresh` copies fake tensors.
        "storages": [(s.factor, names(s.labels)) for s in record.storages.values() if s.labels or s.factor > 64],
        "marks": [(mark.kind, mark.path, mark.why, names([mark.label])) for mark in record.marks],
        "sizes": [(use.where, str(use.expression), names([use.label])) for use in record.sizes],
        "constant": {str(attribute): where for attribute, where in record.constant.items()},
        "activations": [(seen.family, seen.weight, names(seen.labels)) for seen in record.activations],
        "made": names([label for labels in record.made.values() for label in labels]),
    }


def named(algebra: Algebra, label: Any) -> Any:
    """Roots, and the reasons of those that are fixed."""
    roots = algebra.resolve(label)
    return roots.tolist(), sorted({algebra.reason(int(root)) for root in roots.reshape(-1)})


@pytest.mark.parametrize("name", ZOO)
def test_meta_tensors_give_what_fake_tensors_give(name: str) -> None:
    torch.manual_seed(0)
    entry = ZOO[name]
    model, args, kwargs = entry.build(), entry.arguments(2), entry.keywords(2)
    try:
        expected = findings(model, args, kwargs, FakeGround())
    except (DataDependentOutputException, DynamicOutputShapeException, GraphError):
        expected = findings(model, args, kwargs, RealGround())
    try:
        found = findings(model, args, kwargs, MetaGround(torch.device("cpu")))
    except GraphError:
        assert name in DATA_DEPENDENT
        return
    for part in expected if name not in OTHER_STRIDES else ("weights", "terms"):
        assert found[part] == expected[part], part


class Placed(nn.Module):
    """Code that asks where its tensors are, and makes others there."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        assert (x.device.type, x.is_cpu, x.is_meta) == ("cpu", True, False)
        x = self.first(x.to(self.first.weight.device))
        x = x + torch.arange(8, device=x.device, dtype=x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = self.last(x.to("cpu"))
        return out


def test_meta_tensors_say_that_they_are_where_the_real_ones_are() -> None:
    model, x = Placed(), torch.randn(2, 6)
    found = findings(model, (x,), {}, MetaGround(torch.device("cpu")))
    assert found == findings(model, (x,), {}, FakeGround())


class Held(nn.Module):
    """Writes results into a tensor of its own, and looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        held = torch.zeros(2, 8, dtype=torch.int64)
        held[:] = self.first(x).long()
        out: Tensor = self.last(held.to(x.dtype)) if bool(held.sum() > 0) else x
        return out


def test_a_tensor_that_results_are_written_into_is_not_looked_at_for_what_it_was() -> None:
    model, x = Held(), torch.randn(2, 6)
    with pytest.raises(GraphError, match="writes what is not known"):
        findings(model, (x,), {}, MetaGround(torch.device("cpu")))
    assert trace(model, x).operators > 0


def test_weights_without_values_are_where_the_arguments_are() -> None:
    real, meta = torch.zeros(1), torch.zeros(1, device="meta")
    found = [common_device(tensors) for tensors in ([real], [meta], [real, meta], [real.to_sparse()])]
    assert found == [torch.device("cpu"), torch.device("meta"), torch.device("cpu"), None]
