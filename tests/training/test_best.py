"""`keep: best`: the weights of the epoch that validation images found best."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from secateurs import ConfigError
from secateurs.training import EpochRecord, TrainOptions, evaluate, train
from tests.training._toys import Shuffled, make_network, split_batches, tensors_of, toy_images

TRAIN, VALIDATION = toy_images(200, seed=1), split_batches(*toy_images(100, seed=2))
# A rate that rises until training is thrown off, so that the best epoch is not the last.
OPTIONS = TrainOptions(
    epochs=5,
    schedule="list",
    rates=((0, 0.02), (2, 0.05), (3, 3.0)),
    keep="best",
    precision="32",
    device="cpu",
    weight_decay=0.0,
)


def test_the_model_ends_with_the_weights_of_its_best_epoch() -> None:
    model, seen = make_network(), list[dict[str, Tensor]]()

    def note(_record: EpochRecord) -> None:
        seen.append({name: value.clone() for name, value in tensors_of(model).items()})

    result = train(model, Shuffled(*TRAIN), OPTIONS, validation=VALIDATION, on_epoch=note)
    merits = [record.validation_accuracy or 0.0 for record in result.history]
    best = merits.index(max(merits))
    assert result.kept_epoch == best < 4
    assert all(torch.equal(value, seen[best][name]) for name, value in tensors_of(model).items())


def test_what_is_kept_of_an_average_is_what_validation_looked_at() -> None:
    model = make_network()
    result = train(model, Shuffled(*TRAIN), replace(OPTIONS, ema=0.5), validation=VALIDATION)
    record, judged = result.history[result.kept_epoch], evaluate(model, VALIDATION)
    assert result.kept_epoch < 4
    assert judged.accuracy == record.validation_accuracy
    assert judged.loss == pytest.approx(record.validation_loss, rel=1e-5)


def test_the_last_epoch_is_kept_unless_asked() -> None:
    result = train(make_network(), Shuffled(*TRAIN), replace(OPTIONS, keep="last", epochs=4), validation=VALIDATION)
    assert result.kept_epoch == 3


def test_there_is_no_best_without_validation_images() -> None:
    with pytest.raises(ConfigError, match="keep"):
        train(make_network(), Shuffled(*TRAIN), OPTIONS)
