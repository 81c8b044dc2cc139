"""Experts as one grouped product, which exists in low precision only, so not in the zoo."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.graph import trace
from secateurs.surgery import apply, fill_random


class Experts(nn.Module):
    """Every token goes to its best expert, by one grouped product per layer."""

    def __init__(self, hidden: int = 12) -> None:
        super().__init__()
        self.embed, self.gate, self.head = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(8, 4)
        self.up, self.down = nn.Parameter(torch.randn(3, hidden, 8)), nn.Parameter(torch.randn(3, 8, hidden))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        weight, chosen = self.gate(x).softmax(-1).max(-1)
        order = chosen.argsort()
        offsets = torch.bincount(chosen, minlength=3).cumsum(0).to(torch.int32)
        inner = F.silu(F.grouped_mm(x[order], self.up.transpose(1, 2), offs=offsets))
        mixed = F.grouped_mm(inner, self.down.transpose(1, 2), offs=offsets)
        out: Tensor = self.head(x + weight[:, None] * mixed[order.argsort()])
        return out


def experts() -> tuple[nn.Module, Tensor]:
    model = Experts().eval()
    fill_random(model, seed=0)
    return model, torch.randn(20, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "removed", [{"up": [0, 3, 4, 7]}, {"embed": [1, 2, 3, 6]}, {"up": [2, 5, 8, 9], "embed": [0, 1, 2, 5]}]
)
def test_hidden_units_and_the_stream_go_from_every_expert(removed: dict[str, list[int]]) -> None:
    model, x = experts()
    graph = trace(model, (x,))
    result = apply(model, graph.plan(removed))
    assert result.report.verified
    assert result.model.get_parameter("up").shape == (
        3,
        12 - len(removed.get("up", ())),
        8 - len(removed.get("embed", ())),
    )


def test_experts_stay_and_every_row_is_counted_once() -> None:
    model, x = experts()
    graph = trace(model, (x,))
    assert any(
        entry.path == "up" and entry.dim == 0 and "each takes a run of rows" in entry.why for entry in graph.fixed
    )
    linear = 20 * (6 * 8 + 8 * 3 + 8 * 4)
    assert graph.cost().macs == linear + 20 * (8 * 12 + 12 * 8)


def test_groups_that_are_a_dim_are_a_batch_of_products() -> None:
    class Batched(Experts):
        def forward(self, x: Tensor) -> Tensor:
            inner = F.grouped_mm(self.embed(x).expand(3, -1, -1).contiguous(), self.up.transpose(1, 2))
            return torch.tanh(inner)

    model = Batched().eval()
    fill_random(model, seed=0)
    graph = trace(model, (torch.randn(20, 6),))
    assert apply(model, graph.plan({"embed": [0, 1, 2, 5]})).report.verified
    assert {entry.dim for entry in graph.fixed if entry.path == "up"} == {0, 1}
