from collections.abc import Iterator
from typing import Any

import pytest
import torch

from secateurs._errors import TrainingError
from secateurs.training import TrainOptions, train
from tests.training._toys import make_network, split_batches, toy_images

OPTIONS = TrainOptions(epochs=1, device="cpu")


def test_a_generator_is_refused() -> None:
    def generate() -> Iterator[Any]:
        yield toy_images(8)

    with pytest.raises(TrainingError, match="an iterable with a length, got generator"):
        train(make_network(), generate(), OPTIONS)  # type: ignore[arg-type]


def test_no_batches_are_refused() -> None:
    with pytest.raises(TrainingError, match="at least one batch, got none"):
        train(make_network(), [], OPTIONS)


def test_batches_that_are_no_pairs_are_refused() -> None:
    batches: Any = [torch.zeros(4, 1, 8, 8)]
    with pytest.raises(TrainingError, match=r"pairs \(images, labels\), got Tensor"):
        train(make_network(), batches, OPTIONS)


def test_labels_past_the_outputs_are_refused() -> None:
    with pytest.raises(TrainingError, match="classes 0 to 2, as many as the model has outputs, got classes 0 to 3"):
        train(make_network(classes=3), split_batches(*toy_images(64)), OPTIONS)


def test_outputs_of_the_wrong_shape_are_refused() -> None:
    class Unflat(torch.nn.Conv2d):
        pass

    with pytest.raises(TrainingError, match=r"scores of shape \[64, classes\], got \[64, 4, 8, 8\]"):
        train(Unflat(1, 4, 3, padding=1), split_batches(*toy_images(64)), OPTIONS)
