"""A convolutional variational autoencoder with fully connected heads (Kingma and Welling, 2013)."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import ConfigError
from secateurs.models._checks import positive_int, positive_ints

__all__ = ["VAE"]

# Kernel, stride, padding: halves a side exactly, and doubles it exactly on the way back.
_SLIDING = (4, 2, 1)


class VAE(nn.Module):
    """Convolutions that halve the image, linear layers, a Gaussian code, and the same backwards; ReLU between.

    Linear layers have no biases; `spread` is the last of the decoder's, which makes the image that is then enlarged.
    Units of hidden layers and channels can be cut; the code's numbers are outputs and stay.

    Args:
        classes: of the images; a VAE has no use for them.
        channels: channels of the images.
        size: side of the (square) images in pixels.
        filters: channels of each convolution.
        widths: units of each hidden linear layer of the encoder; the decoder has them in reverse.
        latent: numbers of the code.
    """

    def __init__(
        self,
        *,
        classes: int = 10,  # noqa: ARG002 - of the table's interface
        channels: int = 3,
        size: int = 64,
        filters: Sequence[int] = (32, 64),
        widths: Sequence[int] = (2048, 4096),
        latent: int = 100,
    ) -> None:
        super().__init__()
        filters, widths = positive_ints("filters", filters), positive_ints("widths", widths)
        self.latent = positive_int("latent", latent)
        side = _halved(positive_int("size", size), len(filters))
        self.encoder = _Encoder((channels, *filters), side, widths)
        last = widths[-1] if widths else self.encoder.inputs
        self.mean = nn.Linear(last, latent, bias=False)
        self.log_variance = nn.Linear(last, latent, bias=False)
        self.decoder = _Decoder((*reversed(filters), channels), side, (latent, *reversed(widths)))

    def forward(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Images [N, C, H, W] to logits of pixels [N, C, H, W], and mean and log variance of the code [N, latent].

        The code that is decoded is drawn with `noise` [N, latent], standard normal numbers. Without, they are drawn
        in training mode and are 0 in evaluation mode, where the same images then always give the same logits.
        """
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        if noise is None and self.training:
            noise = torch.randn_like(mean)
        code = mean if noise is None else mean + (log_variance / 2).exp() * noise
        return self.decoder(code), mean, log_variance

    def decode(self, code: Tensor) -> Tensor:
        """Codes [N, latent] to logits of pixels [N, C, H, W]."""
        logits: Tensor = self.decoder(code)
        return logits


class _Encoder(nn.Module):
    """Images to hidden units."""

    def __init__(self, channels: Sequence[int], side: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.inputs = channels[-1] * side**2
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, *_SLIDING) for a, b in itertools.pairwise(channels))
        self.hidden = _linear((self.inputs, *widths))

    def forward(self, x: Tensor) -> Tensor:
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
        x = x.flatten(1)
        for layer in self.hidden:
            x = F.relu(layer(x))
        return x


class _Decoder(nn.Module):
    """Codes to logits of pixels."""

    def __init__(self, channels: Sequence[int], side: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.side = side
        self.hidden = _linear(widths)
        self.spread = nn.Linear(widths[-1], channels[0] * side**2, bias=False)
        self.convolutions = nn.ModuleList(nn.ConvTranspose2d(a, b, *_SLIDING) for a, b in itertools.pairwise(channels))

    def forward(self, code: Tensor) -> Tensor:
        for layer in self.hidden:
            code = F.relu(layer(code))
        x: Tensor = self.spread(code).unflatten(1, (-1, self.side, self.side))
        for convolution in self.convolutions:
            x = convolution(F.relu(x))
        return x


def _linear(widths: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(widths))


def _halved(size: int, times: int) -> int:
    if size % (1 << times):
        raise ConfigError(
            "model.size",
            wanted=f"a multiple of {1 << times}, to be halved {times} times and doubled again",
            got=str(size),
            cure=f"Set data.resize to {max(1, round(size / (1 << times))) << times}, or take fewer model.filters.",
        )
    return size >> times
