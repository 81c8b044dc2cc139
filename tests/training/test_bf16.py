"""The stated accuracy check of bf16, small: what it learns on real images is what float32 learns."""

import pytest
import torch

from secateurs import models
from secateurs.data import Batches, BatchOptions, DataOptions, ImageSet, load
from secateurs.training import TrainOptions, evaluate, train


@pytest.mark.slow
def test_bf16_learns_digits_as_well_as_float32() -> None:
    pytest.importorskip("sklearn", reason="needs secateurs[train]")
    splits = load(DataOptions(name="digits", validation_ratio=0.0))
    assert isinstance(splits.train, ImageSet)
    assert isinstance(splits.test, ImageSet)
    accuracy: dict[str, list[float]] = {"32": [], "bf16": []}
    test = Batches(splits.test, batch_size=64, mean=splits.mean, std=splits.std)
    for seed in range(3):
        for precision, found in accuracy.items():
            torch.manual_seed(seed)
            network = models.build("resnet8", classes=10, channels=1)
            options = TrainOptions(
                epochs=10,
                warmup_epochs=1,
                channels_last=True,
                seed=seed,
                precision="bf16" if precision == "bf16" else "32",
                device="cpu",
            )
            batches = Batches(
                splits.train,
                batch_size=64,
                mean=splits.mean,
                std=splits.std,
                seed=seed,
                options=BatchOptions(shuffle=True),
            )
            train(network, batches, options)
            found.append(evaluate(network, test, device="cpu").accuracy)
    full, half = (sum(values) / len(values) for values in accuracy.values())
    assert full > 0.97
    # Ten seeds of the benchmark differ by 0.2 points, the standard deviation of one seed is 0.5.
    assert half > full - 0.01
