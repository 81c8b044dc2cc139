import pytest

from secateurs._errors import ConfigError
from secateurs.training import EpochRecord, TrainOptions, train
from secateurs.training._patience import out_of_patience
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
