"""From options to three sets of images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data._batches import device_of
from secateurs.data._decode import stack
from secateurs.data._hash import keyed_order
from secateurs.data._image_set import ImageSet, Splits
from secateurs.data._moments import moments, streamed_moments
from secateurs.data._opened import opened
from secateurs.data._options import DataOptions
from secateurs.data._partition import draw, stratified, without
from secateurs.data._residency import decide
from secateurs.data._source import read_splits, source_of
from secateurs.data._split import Split
from secateurs.data._streamed_set import StreamedSet

__all__ = ["load"]

# One number for each use of split_seed, so that the draws have nothing to do with each other.
_TEST, _VALIDATION, _LIMIT, _MOMENTS, _LABELS = range(5)


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Rows of the training split for training and validation, and of the test split for testing."""

    train: Tensor
    validation: Tensor
    test: Tensor


def load(options: DataOptions, *, device: str = "cpu", notify: Callable[[str], None] | None = None) -> Splits:
    """Read, divide and decode a data set; the same options give the same splits everywhere.

    Validation images come from the training split only, so the test split serves the final judgement alone.
    A source with a single split is divided by `test_ratio` first.

    Args:
        options: what is read, and how it is divided.
        device: where batches will be made; images that are held are held there if they fit.
        notify: told in one line whether images are held or streamed, before any is decoded.

    Raises:
        DataError: the source is missing or damaged, or a column, label, split or image is not as asked for.

    >>> load(DataOptions(name="digits")).train.images.shape
    torch.Size([1294, 1, 8, 8])
    """
    source = source_of(options)
    train, test = read_splits(source, options)
    rows = _divide(train, test, options)
    if not (len(rows.train) and len(rows.test)):
        raise DataError(
            source.where,
            wanted="images to train and to test on",
            got=f"{len(rows.train)} and {len(rows.test)}",
            cure="Give more images, or change data.test_ratio, data.validation_ratio or data.limit.",
        )
    parts = [(train, rows.train), (train, rows.validation), (test or train, rows.test)]
    chosen = decide(parts, options, device_of(device))
    if notify is not None:
        notify(chosen.told)
    sets = list(_held(parts, options, source.where, chosen.device) if chosen.held else opened(parts, options))
    if options.shuffle_labels:
        sets[:2] = [_mislabelled(part, options) for part in sets[:2]]
    mean, std = _normalisation(sets[0], options)
    return Splits(train=sets[0], validation=sets[1], test=sets[2], mean=mean, std=std, name=source.name)


def _divide(train: Split, test: Split | None, options: DataOptions) -> _Rows:
    seed = options.split_seed
    if test is None:
        test_rows = stratified(train.labels, options.test_ratio, (seed, _TEST))
        rows = without(len(train.labels), test_rows)
    else:
        test_rows = torch.arange(len(test.labels))
        rows = torch.arange(len(train.labels))
    if options.limit is not None and options.limit < len(rows):
        share = max(1, round(options.limit * len(test_rows) / len(rows)))
        rows = draw(rows, options.limit, (seed, _LIMIT))
        test_rows = draw(test_rows, min(options.limit, share), (seed, _LIMIT))
    chosen = stratified(train.labels[rows], options.validation_ratio, (seed, _VALIDATION))
    return _Rows(train=rows[without(len(rows), chosen)], validation=rows[chosen], test=test_rows)


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
