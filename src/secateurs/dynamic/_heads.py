"""What decides: the networks of gates (Wang et al., SkipNet, 2018, section 3.1 and figure 3)."""

import math
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs.dynamic._route import Route

__all__ = ["HEADS", "FeedForward", "HeadKind", "Recurrent", "RecurrentCore", "channels_of", "pooled"]

HeadKind: TypeAlias = Literal["rnn", "ff1", "ff2"]
"""Recurrent, or feed-forward with two convolutions (FFGate-I) or one (FFGate-II)."""

HEADS: tuple[HeadKind, ...] = ("rnn", "ff1", "ff2")


def channels_of(x: Tensor) -> int:
    """Of [B, C, spatial...], or of tokens [B, T, C], or of [B, C]."""
    return int(x.shape[1 if x.dim() != 3 else 2])


def pooled(x: Tensor) -> Tensor:
    """The mean over all positions: [B, C]."""
    if x.dim() == 3:
        return x.mean(1)
    return x.flatten(2).mean(2) if x.dim() > 2 else x


class FeedForward(nn.Module):
    """Convolutions of as many channels as the stream has, pooled to the logits of two choices.

    FFGate-I halves the image by pooling, convolves, convolves with stride 2; FFGate-II convolves with stride 2 alone.
    """

    def __init__(self, channels: int, *, convolutions: Literal[1, 2], bias: float) -> None:
        super().__init__()
        self.shrinks = convolutions == 2
        strides = (1, 2) if self.shrinks else (2,)
        parts = [_convolution(channels, stride) for stride in strides]
        self.convolutions = nn.Sequential(*(layer for part in parts for layer in part))
        self.choice = nn.Linear(channels, 2)
        _lean(self.choice, torch.tensor([-bias / 2, bias / 2]))
        # Fresh statistics of BatchNorm do not fit the stream yet, and what comes here may be large.
        nn.init.normal_(self.choice.weight, std=0.01)

    def forward(self, x: Tensor, route: Route) -> Tensor:  # noqa: ARG002 - as every head
        """Images [B, C, H, W] to the logit of running the block, [B]."""
        # Of a single row or column, pooling would leave nothing.
        small = min(x.shape[2:]) < 2
        x = F.max_pool2d(x, 2) if self.shrinks and not small else x
        logits = self.choice(pooled(self.convolutions(x)))
        logit: Tensor = logits[:, 1] - logits[:, 0]
        return logit.to(torch.promote_types(logit.dtype, torch.float32))


class RecurrentCore(nn.Module):
    """The LSTM that steps from block to block, and how its state becomes a logit; one for all gates."""

    def __init__(self, size: int, *, bias: float) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(size, size)
        self.choice = nn.Linear(size, 1)
        # The state is small. Weights as they usually begin: else all gates change their minds at once.
        _lean(self.choice, torch.tensor([bias]))

    def forward(self, x: Tensor, route: Route) -> Tensor:
        """[B, size] to the logit of running the block, [B]; the state is zero for every new call."""
        # In full precision: cells of a few numbers gain nothing from less, and mixed types fail on some devices.
        with torch.autocast(x.device.type, enabled=False):
            route.state = self.cell(x.to(self.choice.weight.dtype), route.state)
            logits: Tensor = self.choice(route.state[0])
        return logits.squeeze(1)


class Recurrent(nn.Module):
    """The mean of each channel, brought to the size of the shared core by a layer of the gate's own.

    Args:
        core: shared by all gates; the first one owns it, and lists its parameters.
        owner: whether this is the first.
    """

    def __init__(self, channels: int, core: RecurrentCore, *, owner: bool) -> None:
        super().__init__()
        self.project = nn.Linear(channels, core.cell.input_size)
        if owner:
            self.core = core
        # In a tuple, so that it is no child of this module too: one name for every parameter.
        self._shared = (core,)

    @property
    def shared(self) -> RecurrentCore:
        """The core."""
        return self._shared[0]

    def forward(self, x: Tensor, route: Route) -> Tensor:
        """[B, C, ...] to the logit of running the block, [B]."""
        logits: Tensor = self.shared(self.project(pooled(x)), route)
        return logits


def _convolution(channels: int, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
    nn.init.normal_(convolution.weight, std=math.sqrt(2 / (9 * channels)))
    return convolution, nn.BatchNorm2d(channels), nn.ReLU()


@torch.no_grad()
def _lean(layer: nn.Linear, bias: Tensor) -> None:
    """At first the bias decides, whatever the image."""
    if not layer.bias.is_meta:
        layer.bias.copy_(bias)
