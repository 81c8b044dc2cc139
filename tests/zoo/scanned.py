"""State spaces, linear recurrences, Fourier mixers, gates over time, and operators along dims without units."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.zoo._entry import Entry, tokens

__all__ = ["ENTRIES"]

WIDTH, INNER, STATE = 7, 6, 3


class Stream(nn.Module):
    """An embedding, a mixer of positions added to the stream, a head."""

    def __init__(self, mixer: nn.Module) -> None:
        super().__init__()
        self.embed, self.mixer, self.head = nn.Linear(6, WIDTH), mixer, nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        out: Tensor = self.head(x + self.mixer(x))
        return out


class Selective(nn.Module):
    """A selective state space: a causal convolution, steps of a length of its own, a scan over time."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.rank, self.state, self.inner = how, 2, STATE, INNER
        self.enter = nn.Linear(WIDTH, 2 * INNER, bias=False)
        self.near = nn.Conv1d(INNER, INNER, 3, padding=2, groups=INNER)
        self.sizes, self.step = nn.Linear(INNER, 2 + 2 * STATE, bias=False), nn.Linear(2, INNER)
        self.decay, self.skip = nn.Parameter(torch.rand(INNER, STATE)), nn.Parameter(torch.ones(INNER))
        self.leave = nn.Linear(INNER, WIDTH, bias=False)

    def scan(self, x: Tensor, step: Tensor, enter: Tensor, leave: Tensor) -> Tensor:
        """[B, L, inner] from [B, L, inner], [B, L, inner], [B, L, state], [B, L, state]."""
        decay = torch.exp(torch.einsum("bld,dn->bldn", step, -torch.exp(self.decay)))
        given = torch.einsum("bld,bln,bld->bldn", step, enter, x)
        if self.how == "closed":
            total = decay.log().cumsum(1)
            return ((given * (-total).exp()).cumsum(1) * total.exp() * leave[:, :, None]).sum(-1)
        state, outs = torch.zeros_like(given[:, 0]), []
        for time in range(x.shape[1]):
            state = decay[:, time] * state + given[:, time]
            outs.append(torch.einsum("bdn,bn->bd", state, leave[:, time]))
        return torch.stack(outs, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner, gate = self.enter(x).chunk(2, -1)
        inner = F.silu(self.near(inner.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2))
        step, enter, leave = self.sizes(inner).split([self.rank, self.state, self.state], -1)
        out = self.scan(inner, F.softplus(self.step(step)), enter, leave) + inner * self.skip
        left: Tensor = self.leave(out * F.silu(gate))
        return left


class Mixer(nn.Module):
    """Positions mixed without attention."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.enter, self.leave = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.gate, self.filter = nn.Linear(WIDTH, INNER), nn.Parameter(torch.randn(3, INNER, 2))
        self.decay, self.bonus = nn.Parameter(torch.rand(INNER)), nn.Parameter(torch.rand(INNER))
        self.across, self.norm = nn.Conv1d(4, 4, 1), nn.LayerNorm(INNER)
        self.complex = nn.Parameter(torch.randn(INNER, dtype=torch.cfloat))

    def forward(self, x: Tensor) -> Tensor:
        y, gate = self.enter(x), self.gate(x)
        out: Tensor = self.leave(getattr(self, self.how)(y, gate))
        return out

    def fourier(self, y: Tensor, gate: Tensor) -> Tensor:
        """A filter per frequency and channel."""
        waves = torch.fft.rfft(y, dim=1, norm="ortho") * torch.view_as_complex(self.filter)
        mixed: Tensor = torch.fft.irfft(waves, n=y.shape[1], dim=1, norm="ortho") * gate
        return mixed

    def turning(self, y: Tensor, gate: Tensor) -> Tensor:
        """A complex number per channel that turns with time."""
        times = torch.arange(y.shape[1])[:, None]
        return (y * torch.exp(self.complex * 0.1 * times)).cumsum(1).real * gate

    def weighted(self, y: Tensor, gate: Tensor) -> Tensor:
        """Exponentially weighted averages with a bonus for the present."""
        above, below, outs = torch.zeros_like(y[:, 0]), torch.zeros_like(y[:, 0]), []
        for key, value in zip(gate.unbind(1), y.unbind(1), strict=True):
            now = torch.exp(self.bonus + key)
            outs.append((above + now * value) / (below + now))
            above, below = torch.exp(-self.decay) * (above + key.exp() * value), below * 0.5 + key.exp()
        return torch.stack(outs, 1)

    def shifted(self, y: Tensor, gate: Tensor) -> Tensor:
        """Every position with the one before."""
        before = F.pad(y, (0, 0, 1, -1))
        return torch.lerp(y, before, self.decay.sigmoid()) * gate.cumsum(1).tanh()

    def spatial(self, y: Tensor, gate: Tensor) -> Tensor:
        """A gate from all positions of a channel."""
        mixed: Tensor = y * self.across(self.norm(gate))
        return mixed

    def ranked(self, y: Tensor, gate: Tensor) -> Tensor:
        """Largest values over time, medians, cumulative maxima and products."""
        ordered = y.sort(1, descending=True).values + y.topk(4, dim=1).values + y.cumprod(1)
        return ordered * gate.quantile(0.5, dim=1, keepdim=True) + gate.cummax(1).values + gate.median(1, True).values

    def hard(self, y: Tensor, gate: Tensor) -> Tensor:
        """A choice of one position per channel."""
        index = gate.argmax(1, keepdim=True)
        chosen = torch.zeros_like(gate).scatter_(1, index, 1.0)
        return y * (chosen - gate.softmax(1).detach() + gate.softmax(1))

    def outer(self, y: Tensor, gate: Tensor) -> Tensor:
        """Second moments over time, read by a sum."""
        moments = torch.einsum("bld,ble->bde", y, gate) / y.shape[1]
        return torch.einsum("bde,ble->bld", moments.tanh(), gate)


def _entries(kind: Callable[[str], nn.Module], prefix: str, hows: tuple[str, ...], axis: str) -> dict[str, Entry]:
    return {
        f"{prefix}_{how}": Entry(
            build=partial(lambda how: Stream(kind(how)), how),
            arguments=tokens(4, 6),
            axes={"embed": WIDTH, axis: INNER},
        )
        for how in hows
    }


ENTRIES = {
    **_entries(Selective, "state_space", ("steps", "closed"), "mixer.enter"),
    **_entries(
        Mixer,
        "mixer",
        ("fourier", "turning", "weighted", "shifted", "spatial", "ranked", "hard", "outer"),
        "mixer.enter",
    ),
}
