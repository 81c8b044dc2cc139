"""Does bf16 cost accuracy? The same training in both precisions, over several seeds, on handwritten digits."""

import torch

from secateurs import models
from secateurs.data import Augment, Batches, BatchOptions, DataOptions, ImageSet, Splits, load
from secateurs.training import TrainOptions, evaluate, train

__all__ = ["digits_accuracy"]


def digits_accuracy(precision: str, seeds: int, epochs: int = 15) -> list[float]:
    """Test accuracy of a ResNet-8 in float32 after training in `precision`, for each seed."""
    splits = load(DataOptions(name="digits", validation_ratio=0.0))
    return [_accuracy(splits, precision, seed, epochs) for seed in range(seeds)]


def _accuracy(splits: Splits, precision: str, seed: int, epochs: int) -> float:
    torch.manual_seed(seed)
    network = models.build("resnet8", classes=10, channels=1)
    options = TrainOptions(
        epochs=epochs,
        lr=0.1,
        warmup_epochs=1,
        seed=seed,
        device="cpu",
        channels_last=True,
        precision=precision,  # type: ignore[arg-type]
    )
    train(network, _batches(splits, splits.train, seed=seed), options)
    return evaluate(network, _batches(splits, splits.test, seed=None), device="cpu").accuracy


def _batches(splits: Splits, images: object, *, seed: int | None) -> Batches:
    assert isinstance(images, ImageSet)
    training = seed is not None
    options = BatchOptions(shuffle=training, augment=Augment(crop=1 if training else 0))
    return Batches(images, batch_size=64, mean=splits.mean, std=splits.std, seed=seed or 0, options=options)
