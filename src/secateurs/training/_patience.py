"""When training has stopped getting better."""

from secateurs.training._records import EpochRecord

__all__ = ["out_of_patience"]


def out_of_patience(history: tuple[EpochRecord, ...], patience: int | None) -> bool:
    """Has no epoch of the last `patience` been better on the validation images than the best before them?

    A function of the records alone, so a resumed run stops where an uninterrupted one does.
    """
    if patience is None or not history:
        return False
    merits = [_merit(record) for record in history]
    return len(merits) - 1 - merits.index(max(merits)) >= patience


def _merit(record: EpochRecord) -> float:
    if record.validation_accuracy is not None:
        return record.validation_accuracy
    return -record.validation_loss if record.validation_loss is not None else 0.0
