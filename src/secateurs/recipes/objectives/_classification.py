"""Telling classes apart."""

from collections.abc import Mapping
from typing import ClassVar, final

import torch.nn.functional as F
from torch import nn

from secateurs.criteria import Loss
from secateurs.data import Splits
from secateurs.recipes.objectives._base import Purpose
from secateurs.training import BatchSource, Classification, EpochRecord, evaluate

__all__ = ["ClassificationPurpose"]


@final
class ClassificationPurpose(Purpose):
    """Cross-entropy, and accuracy as a fraction.

    Where there are images of some classes only, `test_accuracy` is still by the highest score of all classes (as in
    published work on subsets), and `test_accuracy_among` by the highest score of these.
    """

    figure: ClassVar[str] = "accuracy"

    def __init__(self, splits: Splits) -> None:
        self._among = splits.among

    def training(self, *, label_smoothing: float) -> Classification:
        return Classification(label_smoothing)

    def learned(self, record: EpochRecord) -> Mapping[str, float | None]:
        return {"train_accuracy": record.train_accuracy, "validation_accuracy": record.validation_accuracy}

    def judged(self, model: nn.Module, batches: BatchSource, *, device: str) -> Mapping[str, float | int]:
        seen = evaluate(model, batches, device=device, among=self._among)
        among = {} if seen.accuracy_among is None else {"test_accuracy_among": seen.accuracy_among}
        return {"test_accuracy": seen.accuracy, **among, "test_images": seen.images}

    def for_scores(self, batches: BatchSource) -> tuple[BatchSource, Loss]:
        return batches, F.cross_entropy
