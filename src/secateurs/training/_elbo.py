"""The evidence lower bound of a variational autoencoder (Kingma and Welling, 2013)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs._errors import TrainingError
from secateurs.training._batches import BatchSource, placed
from secateurs.training._device import resolve_device
from secateurs.training._flags import preserved_flags
from secateurs.training._shares import Shares

__all__ = ["Elbo", "ElboEvaluation", "evaluate_elbo"]

# Rows of noise that images are judged with. An image's own row follows from its pixels.
_ROWS = 4096
_SEED = 20_131_220


@dataclass(frozen=True, kw_only=True)
class ElboEvaluation:
    """How well a variational autoencoder explains `images` images; nats per image, means over them.

    Attributes:
        reconstruction: cross-entropy between pixels and what was decoded, summed over an image's pixels.
        kld: Kullback-Leibler divergence of the code's distribution from the standard normal one.
        images: how many images were counted.
    """

    reconstruction: float
    kld: float
    images: int

    @property
    def elbo(self) -> float:
        """The evidence lower bound: below 0, and the higher the better."""
        return -(self.reconstruction + self.kld)


class Elbo:
    """The negative evidence lower bound, in nats per image: reconstruction plus divergence, each a sum per image.

    With decoded logits l of pixels t in 0..1, and mean m and log variance v of the code,

        reconstruction = sum_pixels -(t log sigmoid(l) + (1 - t) log(1 - sigmoid(l)))
        divergence     = -1/2 sum_code (1 + v - m^2 - exp(v))

    The target t is the image itself as the network sees it, augmentation included, with the normalisation taken back:
    networks may be fed with whatever mean and spread suit them. For t between 0 and 1 the reconstruction term is a
    cross-entropy that does not reach 0.

    The module is called as `module(images, noise)`, gives (logits [B, C, H, W], m [B, latent], v [B, latent]), and has
    the attribute `latent`. Noise is one row of standard normal numbers per image. In training mode it follows from the
    step and the image's place in it, so that several ranks train as one process does; before any step was begun it is
    None, for the module to draw. In evaluation mode it depends on the image's pixels alone: equal for any order,
    batch size, number of ranks, and before and after a cut.

    Args:
        mean: that was taken from the pixels, per channel.
        std: that they were divided by.

    Raises:
        TrainingError: a module that gives something else, at the first call.
    """

    def __init__(self, *, mean: Sequence[float], std: Sequence[float]) -> None:
        self._mean = torch.tensor(list(mean)).view(1, -1, 1, 1)
        self._std = torch.tensor(list(std)).view(1, -1, 1, 1)
        self._noise: Tensor | None = None
        self._factors: Tensor | None = None
        self._step: tuple[int, int, slice] | None = None
        self._checked = False

    def begin_step(self, key: int, images: int, part: slice) -> None:
        """See `Objective`: the step that training noise is for from now on."""
        self._step = key, images, part

    def loss(self, module: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, None]:  # noqa: ARG002 - protocol
        """See the class; labels have no say."""
        return self.of_outputs(self._outputs(module, images), images), None

    def of_outputs(self, outputs: tuple[Tensor, Tensor, Tensor], images: Tensor) -> Tensor:
        """The loss of what the module gave for these images: the mean over the batch."""
        reconstruction, divergence = self._of_each(outputs, images)
        return (reconstruction + divergence).mean()

    def terms(self, module: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction and divergence of each image, both [B]."""
        return self._of_each(self._outputs(module, images), images)

    def pixels(self, images: Tensor) -> Tensor:
        """Normalised images as pixels in 0..1."""
        self._mean, self._std = self._mean.to(images.device), self._std.to(images.device)
        return (images * self._std + self._mean).clamp(0, 1)

    def _outputs(self, module: nn.Module, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        latent = getattr(module, "latent", None)
        if not isinstance(latent, int):
            raise _no_autoencoder("no attribute `latent`", "Give it the size of its code as an attribute.")
        outputs = module(images, self._drawn(images, latent) if module.training else self._noise_of(images, latent))
        if not self._checked:
            _check(outputs, images, latent)
            self._checked = True
        return outputs  # type: ignore[no-any-return]

    def _of_each(self, outputs: tuple[Tensor, Tensor, Tensor], images: Tensor) -> tuple[Tensor, Tensor]:
        # Sums over thousands of pixels, and exponentials: at least single precision.
        logits, mean, log_variance = (part.to(torch.promote_types(part.dtype, torch.float32)) for part in outputs)
        target = self.pixels(images).to(logits.dtype)
        reconstruction = F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).sum(1)
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)
        return reconstruction, divergence

    def _drawn(self, images: Tensor, latent: int) -> Tensor | None:
        if self._step is None:
            return None
        key, total, part = self._step
        generator = torch.Generator(images.device).manual_seed(key)
        return torch.randn(total, latent, generator=generator, device=images.device, dtype=images.dtype)[part]

    def _noise_of(self, images: Tensor, latent: int) -> Tensor:
        levels = (self.pixels(images) * 255).round().long().flatten(1)
        if self._factors is None or self._factors.shape[0] != levels.shape[1]:
            self._factors = torch.randint(2**31, (levels.shape[1],), generator=torch.Generator().manual_seed(_SEED))
        if self._noise is None or self._noise.shape[1] != latent:
            self._noise = torch.randn(_ROWS, latent, generator=torch.Generator().manual_seed(_SEED))
        self._factors, self._noise = self._factors.to(images.device), self._noise.to(images.device)
        # Integers, below 2^63 for 16 million pixels: the same row on every device. Low bits tell least; leave them out.
        rows = ((levels * self._factors).sum(1) >> 8) % _ROWS
        return self._noise[rows].to(images.dtype)


@torch.no_grad()
def evaluate_elbo(model: nn.Module, batches: BatchSource, objective: Elbo, *, device: str = "auto") -> ElboEvaluation:
    """Both terms over all images of `batches`, with noise that depends on the image: equal for equal weights.

    The model runs in eval mode and float32, and is left as it was. Under several ranks, each looks at its part of
    batches that are divided, and all return what is true of the whole.

    Raises:
        ConfigError: no such device.
        TrainingError: no images, or a model that is no variational autoencoder.
    """
    place, shares = resolve_device(device), Shares(batches)
    home = next((parameter.device for parameter in model.parameters()), place)
    sums, images = [torch.zeros(2, dtype=torch.float64)], 0
    with preserved_flags(model):
        try:
            model.to(place).eval()
            for step, (x, y) in enumerate(placed(batches, place, channels_last=False)):
                counted = shares.counted(step, len(y))
                if counted:
                    sums.append(torch.stack([part.sum() for part in objective.terms(model, x)]))
                images += counted
        finally:
            model.to(home)
    added = torch.stack([part.cpu().double() for part in sums]).sum(0).tolist()
    reconstruction, kld, total = shares.total([*added, images])
    if total == 0:
        raise TrainingError("batches", wanted="at least one image", got="none", cure="Check the data's split.")
    return ElboEvaluation(reconstruction=reconstruction / total, kld=kld / total, images=int(total))


def _check(outputs: object, images: Tensor, latent: int) -> None:
    wanted = [list(images.shape), [len(images), latent], [len(images), latent]]
    parts = outputs if isinstance(outputs, tuple) else (outputs,)
    got = [list(part.shape) if isinstance(part, Tensor) else type(part).__name__ for part in parts]
    if got != wanted:
        raise TrainingError(
            "model output",
            wanted="logits of pixels, mean and log variance of the code: " + ", ".join(map(str, wanted)),
            got=", ".join(map(str, got)),
            cure="Take a variational autoencoder such as vae28, or another objective.",
        )


def _no_autoencoder(got: str, cure: str) -> TrainingError:
    return TrainingError("model", wanted="a variational autoencoder", got=got, cure=cure)
