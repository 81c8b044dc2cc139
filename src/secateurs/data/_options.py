"""What to load, and how it is divided."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from secateurs._errors import DataError
from secateurs._nearest import nearest_hint
from secateurs.data._hub_name import is_hub_name
from secateurs.data._known import KNOWN

__all__ = ["DataOptions"]

_LARGEST_SIDE = 8000  # squared, the pixels that any image may have


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where images come from, what is read, and how it is divided.

    Attributes:
        name: "digits" (scikit-learn's 1,797 handwritten digits, 8x8, no download); "mnist", "fashion_mnist",
            "cifar10" or "cifar100", from a folder of that name in the one that the environment variable
            SECATEURS_DATA names, else from the Hugging Face hub; or OWNER/NAME of any data set there.
        path: instead of `name`: a Parquet file, a folder of Parquet files (train*.parquet, test*.parquet), or
            an image folder (class sub-folders, or train/ and test/ with class sub-folders in each).
        image_column: None for the first column of images.
        label_column: None for the first of label, labels, fine_label, target, class, else the first column
            that has class names.
        superclass_column: None for the first of coarse_label, superclass, supercategory; only for `classes`.
        classes: what the run is about, images of other classes being left out: names, numbers or super-classes of
            classes, one or a list; of CIFAR-100 also aquatic, indoors, outdoor, natural or random1 (ADaPT's subsets);
            entire_dataset for all, as None is. Labels keep their numbers. All else is as without this option, and
            then restricted: parts, mean and std are those of the whole set, so that nothing that a network trained
            on all classes has seen is in validation.
        train_split: name of the split to train on; a source with a single split is taken whatever its name.
        test_split: name of the split to test on.
        validation_ratio: of the train split, set aside for validation, stratified.
        test_ratio: of a source with a single split, set aside for testing, stratified.
        split_seed: fixes both.
        split_from: a run's directory, or the split.safetensors in it: its parts, mean and std, in the place of
            the ratios, `split_seed` and limits.
        resize: side in pixels that every image is brought to (bilinear, square); needed where sizes differ.
        channels: 1 for grey, 3 for colour, None for what the images have.
        limit: only so many images of the train split, drawn by `split_seed`, validation among them; of the
            test split the same fraction, and no more than so many, where `test_limit` does not say.
        test_limit: at most so many images of the test split.
        shuffle_labels: give the images of the train split, validation among them, each other's labels, by
            `split_seed`; test images keep theirs. What a network then learns it has memorised (Zhang et al.,
            Understanding Deep Learning Requires Rethinking Generalization, 2017): look at training accuracy.
        resident: whether all images are decoded once and held in memory; "auto" where half of the free memory
            is enough, else they are decoded as they are needed. Batches are the same.
        mean: per channel, of pixels scaled to 0..1; None for that of the train split.
        std: the same.
    """

    name: str | None = None
    path: Path | None = None
    image_column: str | None = None
    label_column: str | None = None
    superclass_column: str | None = None
    classes: str | tuple[str | int, ...] | None = None
    train_split: str = "train"
    test_split: str = "test"
    validation_ratio: float = 0.1
    test_ratio: float = 0.2
    split_seed: int = 0
    split_from: Path | None = None
    resize: int | None = None
    channels: Literal[1, 3] | None = None
    limit: int | None = None
    test_limit: int | None = None
    shuffle_labels: bool = False
    resident: Literal["auto"] | bool = "auto"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if (self.name is None) == (self.path is None):
            raise DataError(
                "data",
                wanted="either data.name or data.path",
                got=f"name={self.name!r}, path={None if self.path is None else str(self.path)!r}",
                cure="Set one of them: data.name=digits, for example.",
            )
        _check(
            0 <= self.validation_ratio < 1,
            "validation_ratio",
            "0 or more and less than 1",
            self.validation_ratio,
        )
        _check(0 < self.test_ratio < 1, "test_ratio", "more than 0 and less than 1", self.test_ratio)
        if self.name is not None and not is_hub_name(self.name):
            raise DataError(
                "data.name",
                wanted=f"one of {', '.join(KNOWN)}, or OWNER/NAME of the Hugging Face hub",
                got=repr(self.name),
                cure=nearest_hint(self.name, KNOWN, "For local files set data.path instead."),
            )
        some = "a name, or a list that is not empty (entire_dataset for all)"
        _check(self.classes is None or len(self.classes) > 0, "classes", some, self.classes)
        wanted = f"1 to {_LARGEST_SIDE} pixels"
        _check(self.resize is None or 1 <= self.resize <= _LARGEST_SIDE, "resize", wanted, self.resize)
        _check(self.limit is None or self.limit >= 1, "limit", "1 or more images", self.limit)
        _check(self.test_limit is None or self.test_limit >= 1, "test_limit", "1 or more images", self.test_limit)
        _check(self.channels in (None, 1, 3), "channels", "1 or 3", self.channels)
        _check(self.resident in ("auto", True, False), "resident", "auto, true or false", self.resident)
        finite = all(map(math.isfinite, (*(self.mean or ()), *(self.std or ()))))
        _check(finite, "mean", "finite numbers, as for data.std", (self.mean, self.std))
        _check(self.std is None or min(self.std, default=0) > 0, "std", "positive numbers", self.std)


def _check(right: bool, option: str, wanted: str, got: Any) -> None:
    if not right:
        raise DataError(f"data.{option}", wanted=wanted, got=repr(got), cure=f"Change data.{option}.")
