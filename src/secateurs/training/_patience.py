"""When training has stopped getting better."""

from secateurs.training._options import TrainOptions
from secateurs.training._records import EpochRecord

__all__ = ["best_epoch", "ended_early", "gap_has_grown", "out_of_patience"]


def ended_early(history: tuple[EpochRecord, ...], options: TrainOptions) -> bool:
    """Do these epochs say that no more are needed?"""
    return out_of_patience(history, options.patience) or gap_has_grown(
        history, options.gap_patience, since=options.gap_epoch
    )


def out_of_patience(history: tuple[EpochRecord, ...], patience: int | None) -> bool:
    """Has no epoch of the last `patience` been better on the validation images than the best before them?

    A function of the records alone, so a resumed run stops where an uninterrupted one does.
    """
    if patience is None or not history:
        return False
    return len(history) - 1 - best_epoch(history) >= patience


def best_epoch(history: tuple[EpochRecord, ...]) -> int:
    """The first epoch with the highest validation accuracy; the lowest validation loss where there is no accuracy."""
    merits = [_merit(record) for record in history]
    return merits.index(max(merits))


def gap_has_grown(history: tuple[EpochRecord, ...], patience: int | None, *, since: int) -> bool:
    """Has the generalisation gap been larger than after epoch `since` in each of the last `patience` epochs?"""
    if patience is None or len(history) <= since + patience:
        return False
    first, *later = [_gap(record) for record in (history[since], *history[-patience:])]
    return all(gap > first for gap in later)


def _gap(record: EpochRecord) -> float:
    return (record.validation_loss or 0.0) - record.train_loss


def _merit(record: EpochRecord) -> float:
    if record.validation_accuracy is not None:
        return record.validation_accuracy
    return -record.validation_loss if record.validation_loss is not None else 0.0
