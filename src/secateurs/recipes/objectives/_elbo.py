"""Encoding and decoding images: variational autoencoders."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from secateurs._errors import ConfigError
from secateurs.criteria import Loss
from secateurs.data import Splits
from secateurs.recipes.objectives._base import Purpose
from secateurs.training import BatchSource, Elbo, EpochRecord, evaluate_elbo

__all__ = ["ElboPurpose"]

_SHOWN = 12
# Of the codes that pictures are drawn from: the same before and after every cut, and in all runs of a study.
_SEED = 0


@final
class ElboPurpose(Purpose):
    """The evidence lower bound and its two terms, in nats per image; reconstructions and samples to look at.

    The network has the attribute `latent` and the method `decode(code)`; see `Elbo` for how it is called.
    """

    figure: ClassVar[str] = "elbo"

    def __init__(self, splits: Splits) -> None:
        self._objective = Elbo(mean=splits.mean, std=splits.std)

    def training(self, *, label_smoothing: float) -> Elbo:
        if label_smoothing:
            cure = "Leave label_smoothing out; a variational autoencoder has no use for labels."
            raise ConfigError("train.label_smoothing", wanted="0", got=repr(label_smoothing), cure=cure)
        return self._objective

    def learned(self, record: EpochRecord) -> Mapping[str, float | None]:
        validation = record.validation_loss
        return {"train_elbo": -record.train_loss, "validation_elbo": None if validation is None else -validation}

    def judged(self, model: nn.Module, batches: BatchSource, *, device: str) -> Mapping[str, float | int]:
        seen = evaluate_elbo(model, batches, self._objective, device=device)
        return {
            "test_elbo": seen.elbo,
            "test_reconstruction": seen.reconstruction,
            "test_kld": seen.kld,
            "test_images": seen.images,
        }

    def for_scores(self, batches: BatchSource) -> tuple["_Compared", Loss]:
        def loss(outputs: Any, images: Any) -> Tensor:
            return self._objective.of_outputs(outputs, images)

        return _Compared(batches), loss

    @torch.no_grad()
    def pictures(self, model: nn.Module, images: Tensor) -> Mapping[str, Tensor]:
        """The first images, what the means of their codes are decoded to, and what random codes are decoded to."""
        images, network = images[:_SHOWN], _Decoding(model)
        code = torch.randn(_SHOWN, network.latent, generator=torch.Generator().manual_seed(_SEED))
        model.eval()
        return {
            "images": _levels(self._objective.pixels(images)),
            "reconstructions": _levels(model(images)[0].sigmoid()),
            "samples": _levels(network.decode(code.to(images.device)).sigmoid()),
        }


class _Compared:
    """Batches in which images are compared with themselves."""

    def __init__(self, batches: BatchSource) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return ((images, images) for images, _ in self._batches)


class _Decoding:
    """What pictures need of a network beyond a call."""

    def __init__(self, model: nn.Module) -> None:
        self._model: Any = model

    @property
    def latent(self) -> int:
        return int(self._model.latent)

    def decode(self, code: Tensor) -> Tensor:
        logits: Tensor = self._model.decode(code)
        return logits


def _levels(pixels: Tensor) -> Tensor:
    return (pixels.float() * 255).round().to(torch.uint8).cpu()
