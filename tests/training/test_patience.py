import pytest
import torch

from secateurs._errors import ConfigError
from secateurs.training import EpochRecord, TrainOptions, train
from secateurs.training._patience import gap_has_grown, out_of_patience
from tests.training._toys import make_network, split_batches, toy_images


def history(*accuracies: float, losses: bool = False) -> tuple[EpochRecord, ...]:
    return tuple(
        EpochRecord(
            epoch=epoch,
            epochs=99,
            lr=0.1,
            train_loss=1.0,
            train_accuracy=0.5,
            validation_loss=-value if losses else 1.0,
            validation_accuracy=None if losses else value,
            seconds=1.0,
            images_per_second=1.0,
        )
        for epoch, value in enumerate(accuracies)
    )


@pytest.mark.parametrize("losses", [False, True])
def test_waiting_by_hand(losses: bool) -> None:
    assert not out_of_patience((), 1)
    assert not out_of_patience(history(0.1, losses=losses), 1)
    assert not out_of_patience(history(0.5, 0.4, losses=losses), 2)
    assert out_of_patience(history(0.5, 0.4, 0.5, losses=losses), 2)
    assert not out_of_patience(history(0.5, 0.4, 0.6, losses=losses), 2)
    assert not out_of_patience(history(0.5, 0.4, 0.3, losses=losses), None)


def test_training_ends_where_nothing_gets_better() -> None:
    """A rate that moves nothing: the first epoch is the best."""
    model = make_network()
    model.norm.momentum = 0.0
    options = TrainOptions(epochs=9, lr=1e-30, weight_decay=0.0, patience=2, precision="32", device="cpu")
    result = train(model, split_batches(*toy_images(64)), options, validation=split_batches(*toy_images(64, seed=1)))
    assert [record.epoch for record in result.history] == [0, 1, 2]


def test_patience_needs_validation() -> None:
    with pytest.raises(ConfigError, match=r"train\.patience: wanted validation images"):
        train(make_network(), split_batches(*toy_images(64)), TrainOptions(patience=1, device="cpu"))


def gaps(*values: float) -> tuple[EpochRecord, ...]:
    return tuple(
        EpochRecord(
            epoch=epoch,
            epochs=99,
            lr=0.1,
            train_loss=1.0,
            train_accuracy=0.5,
            validation_loss=1.0 + value,
            validation_accuracy=0.5,
            seconds=1.0,
            images_per_second=1.0,
        )
        for epoch, value in enumerate(values)
    )


def test_growing_gaps_by_hand() -> None:
    assert not gap_has_grown((), 1, since=0)
    assert not gap_has_grown(gaps(0.1, 0.2), None, since=0)
    assert gap_has_grown(gaps(0.1, 0.2), 1, since=0)
    assert not gap_has_grown(gaps(0.1, 0.1), 1, since=0)
    # Larger than after epoch 2, three times one after another, whatever it was before.
    assert not gap_has_grown(gaps(0.0, 0.0, 0.1, 0.2, 0.3), 3, since=2)
    assert gap_has_grown(gaps(0.0, 0.0, 0.1, 0.3, 0.2, 0.15), 3, since=2)
    assert gap_has_grown(gaps(0.9, 0.9, 0.1, 0.05, 0.3, 0.2, 0.15), 3, since=2)
    assert not gap_has_grown(gaps(0.0, 0.0, 0.1, 0.3, 0.05, 0.2, 0.3), 3, since=2)
    # The epoch that is compared with is none of the three.
    assert not gap_has_grown(gaps(0.0, 0.2, 0.1, 0.3, 0.3), 3, since=2)


def test_training_ends_where_the_gap_grows() -> None:
    """Labels by lot: what is learned of the training images makes the others worse."""
    images, labels = toy_images(64)
    other = split_batches(*toy_images(64, seed=1))
    options = TrainOptions(
        epochs=40, lr=0.05, schedule="constant", gap_patience=2, gap_epoch=0, precision="32", device="cpu"
    )
    shuffled = split_batches(images, labels[torch.randperm(64, generator=torch.Generator().manual_seed(0))])
    history = train(make_network(), shuffled, options, validation=other).history
    assert len(history) < 40
    found = [(record.validation_loss or 0.0) - record.train_loss for record in history]
    assert [gap > found[0] for gap in found[-2:]] == [True, True]
    ends = [gap_has_grown(history[:count], 2, since=0) for count in range(1, len(history) + 1)]
    assert ends == [False] * (len(history) - 1) + [True]


def test_a_gap_needs_validation() -> None:
    with pytest.raises(ConfigError, match=r"train\.gap_patience: wanted validation images"):
        train(make_network(), split_batches(*toy_images(64)), TrainOptions(gap_patience=1, device="cpu"))
