"""Mixtures of experts: routing in loops, by stacked weights, by sorting, softly."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, tokens

__all__ = ["ENTRIES"]

EXPERTS, WIDTH, INNER = 3, 7, 5


class Gated(nn.Module):
    """One expert: a gated unit."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up = nn.Linear(WIDTH, INNER, bias=False), nn.Linear(WIDTH, INNER, bias=False)
        self.down = nn.Linear(INNER, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return out


class Mixture(nn.Module):
    """An embedding, a mixture added to the stream, a head; subclasses say how rows find experts."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.experts_number = how, EXPERTS
        # Where rows are picked by value, the cut may pick others: with all experts chosen, counts stay comparable.
        self.chosen = 3 if how in ("where", "one_hot", "mask", "loop") else 2
        self.embed, self.head = nn.Linear(6, WIDTH), nn.Linear(WIDTH, 4)
        self.router = nn.Linear(WIDTH, EXPERTS, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        rows = x.reshape(-1, x.shape[-1])
        out: Tensor = self.head(x + self.mix(rows).view(x.shape))
        return out

    def route(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and numbers of the chosen experts [rows, chosen]."""
        weights, chosen = self.router(rows).softmax(-1).topk(self.chosen, dim=-1)
        return weights / weights.sum(-1, keepdim=True), chosen

    def mix(self, rows: Tensor) -> Tensor:
        """[rows, width] -> [rows, width]."""
        raise NotImplementedError


class Loop(Mixture):
    """Experts are modules, called one after the other."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.experts, self.shared = nn.ModuleList(Gated() for _ in range(EXPERTS)), Gated()
        self.gate = nn.Linear(WIDTH, 1)

    def mix(self, rows: Tensor) -> Tensor:
        """By position, by mask, by one weight per row, or all of them."""
        weights, chosen = self.route(rows)
        out = torch.zeros_like(rows)
        if self.how == "dense":
            full = torch.zeros(len(rows), EXPERTS, dtype=rows.dtype).scatter(1, chosen, weights)
            outs = torch.stack([expert(rows) for expert in self.experts], 1)
            return (outs * full[..., None]).sum(1)
        for number, expert in enumerate(self.experts):
            if self.how == "where":
                row, rank = torch.where(chosen == number)
                out.index_add_(0, row, expert(rows[row]) * weights[row, rank, None])
            elif self.how == "one_hot":
                mask = F.one_hot(chosen, EXPERTS).permute(2, 1, 0)
                rank, row = torch.where(mask[number])
                current = rows[None, row].reshape(-1, rows.shape[-1])
                out.index_add_(0, row, (expert(current) * weights[row, rank, None]).to(rows.dtype))
            else:
                mask = (chosen == number).any(-1)
                if mask.any():
                    share = (weights * (chosen == number)).sum(-1)
                    out[mask] += expert(rows[mask]) * share[mask].unsqueeze(-1)
        found: Tensor = out + self.gate(rows).sigmoid() * self.shared(rows)
        return found


class Stacked(Mixture):
    """The weights of all experts in one tensor [experts, in, out]."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.up, self.down = (
            nn.Parameter(torch.randn(EXPERTS, WIDTH, 2 * INNER)),
            nn.Parameter(torch.randn(EXPERTS, INNER, WIDTH)),
        )
        self.bias = nn.Parameter(torch.randn(EXPERTS, 2 * INNER))
        self.slots = nn.Parameter(torch.randn(WIDTH, EXPERTS, 2))

    def gated(self, x: Tensor) -> Tensor:
        """Halves of the inner size."""
        gate, up = x.chunk(2, -1)
        return F.silu(gate) * up

    def mix(self, rows: Tensor) -> Tensor:
        """Batched, gathered per row, looped over, sorted, or soft."""
        weights, chosen = self.route(rows)
        if self.how == "bmm":
            inner = self.gated(torch.bmm(rows.expand(self.experts_number, -1, -1), self.up) + self.bias[:, None])
            outs = torch.bmm(inner, self.down)
            full = torch.zeros(len(rows), EXPERTS, dtype=rows.dtype).scatter_(1, chosen, weights)
            return (outs * full.t()[..., None]).sum(0)
        if self.how == "einsum":
            inner = self.gated(torch.einsum("nd,edf->nef", rows, self.up))
            return torch.einsum("nef,efd,ne->nd", inner, self.down, self.router(rows).softmax(-1))
        if self.how == "gathered":
            inner = self.gated(torch.einsum("nd,nkdf->nkf", rows, self.up[chosen]) + self.bias[chosen])
            return (torch.einsum("nkf,nkfd->nkd", inner, self.down[chosen]) * weights[..., None]).sum(1)
        if self.how == "soft":
            logits = torch.einsum("nd,des->nes", rows, self.slots)
            slots = torch.einsum("nes,nd->esd", logits.softmax(0), rows)
            outs = torch.einsum("esf,efd->esd", self.gated(torch.einsum("esd,edf->esf", slots, self.up)), self.down)
            return torch.einsum("nes,esd->nd", logits.flatten(1).softmax(-1).view_as(logits), outs)
        out = torch.zeros_like(rows)
        for number in range(EXPERTS):
            row, rank = torch.where(chosen == number)
            inner = self.gated(F.linear(rows[row], self.up[number].t()))
            out.index_add_(0, row, (inner @ self.down[number]) * weights[row, rank, None])
        return out


def _entries(kind: Callable[[str], nn.Module], hows: dict[str, dict[str, int]]) -> dict[str, Entry]:
    return {
        f"experts_{how}": Entry(build=partial(kind, how), arguments=tokens(4, 6), axes={"embed": WIDTH, **axes})
        for how, axes in hows.items()
    }


_APART = {f"experts.{number}.gate": INNER for number in range(EXPERTS)}
ENTRIES = {
    **_entries(Loop, {key: {**_APART, "shared.gate": INNER} for key in ("where", "one_hot", "mask")}),
    **_entries(Loop, {"dense": _APART}),
    **_entries(Stacked, {key: {"up": INNER} for key in ("bmm", "einsum", "gathered", "soft", "loop")}),
}
