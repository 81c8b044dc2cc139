"""From options to three sets of images."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data._batch_options import device_of
from secateurs.data._classes import vocabulary
from secateurs.data._decode import stack
from secateurs.data._division import SPLIT_FILE, Division, Rows
from secateurs.data._hash import keyed_order
from secateurs.data._image_set import ImageSet, Splits
from secateurs.data._moments import moments, streamed_moments
from secateurs.data._opened import opened
from secateurs.data._options import DataOptions
from secateurs.data._partition import draw, stratified, without
from secateurs.data._residency import decide
from secateurs.data._source import expanded, read_splits, source_of
from secateurs.data._split import Source, Split
from secateurs.data._streamed_set import StreamedSet
from secateurs.data._subset import Subset

__all__ = ["load"]

# One number for each use of split_seed, so that the draws have nothing to do with each other.
_TEST, _VALIDATION, _LIMIT, _MOMENTS, _LABELS = range(5)


def load(
    options: DataOptions,
    *,
    device: str = "cpu",
    notify: Callable[[str], None] | None = None,
    division: Division | None = None,
) -> Splits:
    """Read, divide and decode a data set; the same options give the same splits everywhere.

    Validation images come from the training split only, so the test split serves the final judgement alone.
    A source with a single split is divided by `test_ratio` first.

    Args:
        options: what is read, and how it is divided.
        device: where batches will be made; images that are held are held there if they fit.
        notify: told in one line whether images are held or streamed, before any is decoded.
        division: parts, mean and std that were found before, instead of those that the options ask for.

    Raises:
        DataError: the source is missing or damaged, or a column, label, split, class or image is not as asked for.

    >>> load(DataOptions(name="digits")).train.images.shape
    torch.Size([1294, 1, 8, 8])
    """
    source = source_of(options)
    train, test = read_splits(source, options)
    division = _division(train, test, options, source, division)
    rows, subset, words = division.rows(), None, vocabulary(train, source.name)
    options = _known(options, division)
    if options.classes is not None:
        subset = words.subset(options.classes)
        options = _as_for_all(options, train, rows)
        rows = _within(rows, subset, train, test or train)
    if not (len(rows.train) and len(rows.test)):
        raise DataError(
            source.where,
            wanted="images to train and to test on",
            got=f"{len(rows.train)} and {len(rows.test)}",
            cure="Give more images, or change data.test_ratio, data.validation_ratio, data.limit or data.classes.",
        )
    parts = [(train, rows.train), (train, rows.validation), (test or train, rows.test)]
    chosen = decide(parts, options, device_of(device))
    if notify is not None:
        notify(chosen.told)
    sets = list(_held(parts, options, source.where, chosen.device) if chosen.held else opened(parts, options))
    if options.shuffle_labels:
        sets[:2] = [_mislabelled(part, options) for part in sets[:2]]
    mean, std = _normalisation(sets[0], options)
    return Splits(
        train=sets[0],
        validation=sets[1],
        test=sets[2],
        mean=mean,
        std=std,
        name=source.name,
        subset=subset,
        vocabulary=words,
        division=replace(division, mean=mean, std=std),
    )


def _division(
    train: Split, test: Split | None, options: DataOptions, source: Source, given: Division | None
) -> Division:
    """What the rows of all classes are for: as it was, where that is known, else as the options say."""
    if given is None and options.split_from is not None:
        path = expanded(Path(options.split_from))
        given = Division.load(path / SPLIT_FILE if path.is_dir() else path)
    if given is None:
        return Division.of(_divide(train, test, options), train, test, source.name)
    given.check_fits(train, test)
    return given


def _divide(train: Split, test: Split | None, options: DataOptions) -> Rows:
    seed = options.split_seed
    if test is None:
        test_rows = stratified(train.labels, options.test_ratio, (seed, _TEST))
        rows = without(len(train.labels), test_rows)
    else:
        test_rows = torch.arange(len(test.labels))
        rows = torch.arange(len(train.labels))
    if options.limit is not None and options.limit < len(rows):
        share = min(options.limit, max(1, round(options.limit * len(test_rows) / len(rows))))
        rows = draw(rows, options.limit, (seed, _LIMIT))
        test_rows = _some(test_rows, options.test_limit or share, seed)
    elif options.test_limit is not None:
        test_rows = _some(test_rows, options.test_limit, seed)
    chosen = stratified(train.labels[rows], options.validation_ratio, (seed, _VALIDATION))
    return Rows(train=rows[without(len(rows), chosen)], validation=rows[chosen], test=test_rows)


def _some(rows: Tensor, count: int, seed: int) -> Tensor:
    return draw(rows, count, (seed, _LIMIT)) if count < len(rows) else rows


def _known(options: DataOptions, division: Division) -> DataOptions:
    """With the mean and std that were found before; the options' own come first."""
    mean, std = division.mean, division.std
    if mean is None or std is None or options.channels not in (None, len(mean)):
        return options
    channels: Any = len(mean)
    return replace(options, mean=options.mean or mean, std=options.std or std, channels=channels)


def _as_for_all(options: DataOptions, train: Split, rows: Rows) -> DataOptions:
    """With mean, std and channels of the training images of all classes, as a network trained on these knows them."""
    if options.mean is not None and options.std is not None:
        return options
    (images,) = opened([(train, rows.train)], options)
    mean, std = streamed_moments(images, (options.split_seed, _MOMENTS))
    return replace(options, mean=options.mean or mean, std=options.std or std, channels=images.channels)


def _within(rows: Rows, subset: Subset, train: Split, test: Split) -> Rows:
    """The rows of the subset's classes."""

    def kept(split: Split, part: Tensor) -> Tensor:
        return part[subset.places(split.labels[part])]

    return Rows(train=kept(train, rows.train), validation=kept(train, rows.validation), test=kept(test, rows.test))


def _held(
    parts: Sequence[tuple[Split, Tensor]], options: DataOptions, where: str, device: torch.device
) -> Sequence[ImageSet | StreamedSet]:
    decoded = [_decoded(split, rows, options) for split, rows in parts]
    return [part.to(device) for part in _unified(decoded, where)]


def _decoded(split: Split, rows: Tensor, options: DataOptions) -> ImageSet:
    pictures = split.pictures(rows.tolist())
    images = stack(pictures, len(rows), resize=options.resize, channels=options.channels)
    return ImageSet(images=images, labels=split.labels[rows], indices=rows, classes=split.classes)


def _unified(parts: list[ImageSet], where: str) -> list[ImageSet]:
    """The parts with equal channels (grey ones repeated where another part has colour) and equal sizes."""
    shape = parts[0].images.shape[1:]
    channels = max(part.images.shape[1] for part in parts if len(part))
    unified = []
    for part in parts:
        images = part.images if len(part) else part.images.expand(0, *shape)
        if images.shape[2:] != shape[1:]:
            raise DataError(
                where,
                wanted=f"test images of {shape[2]} x {shape[1]} pixels, as for training",
                got=f"{images.shape[3]} x {images.shape[2]}",
                cure=f"Set data.resize={min(shape[1:])}, for example.",
            )
        grey = images.shape[1] < channels
        unified.append(replace(part, images=images.repeat(1, channels, 1, 1) if grey else images.contiguous()))
    return unified


def _mislabelled(part: ImageSet | StreamedSet, options: DataOptions) -> ImageSet | StreamedSet:
    """The same images with their labels in an order that has nothing to do with them; as many of each class."""
    order = keyed_order((options.split_seed, _LABELS), torch.arange(len(part)))
    return replace(part, labels=part.labels[order.to(part.labels.device)])


def _normalisation(train: ImageSet | StreamedSet, options: DataOptions) -> tuple[tuple[float, ...], tuple[float, ...]]:
    channels = train.channels
    for option, given in (("mean", options.mean), ("std", options.std)):
        if given is not None and len(given) != channels:
            raise DataError(
                f"data.{option}",
                wanted=f"{channels} numbers, one for each channel",
                got=repr(given),
                cure=f"Change data.{option}, or leave it out to have it computed.",
            )
    if options.mean is not None and options.std is not None:
        return tuple(options.mean), tuple(options.std)
    if isinstance(train, ImageSet):
        mean, std = moments(train.images)
    else:
        mean, std = streamed_moments(train, (options.split_seed, _MOMENTS))
    return tuple(options.mean or mean), tuple(options.std or std)
