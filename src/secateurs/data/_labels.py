"""From a column of labels to class numbers."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data._columns import is_integer, is_named

__all__ = ["encode"]

# Plain numbers above this, in a set with fewer images, are identifiers rather than classes.
_FEW_CLASSES = 1000


def encode(
    values: Sequence[Any], feature: Any, known: tuple[str, ...] | None, where: Callable[[int], str]
) -> tuple[Tensor, tuple[str, ...]]:
    """Class numbers int64 [N] and class names.

    Args:
        values: one label for each row: class numbers, or text.
        feature: the Hugging Face feature of the column.
        known: the classes of the training split, None while that itself is read.
        where: names a row in errors.
    """
    for row, value in enumerate(values):
        if value is None:
            raise _wrong(where(row), "a label", "none", "Label this row, or remove it.")
    if is_named(feature):
        classes = tuple(feature.names)
        if known not in (None, classes):
            raise _wrong(where(0), f"the classes of the training split, {known}", str(classes), "Make them equal.")
        return _numbers(values, classes, where), classes
    if is_integer(feature):
        classes = known if known is not None else _counted(values, where)
        return _numbers(values, classes, where), classes
    classes = known if known is not None else tuple(sorted(set(values)))
    number = {name: position for position, name in enumerate(classes)}
    for row, value in enumerate(values):
        if value not in number:
            raise _wrong(where(row), "a class that the training split has", repr(value), "Add or remove images of it.")
    return torch.tensor([number[value] for value in values], dtype=torch.int64), classes


def _numbers(values: Sequence[int], classes: tuple[str, ...], where: Callable[[int], str]) -> Tensor:
    # Before they become a tensor: unsigned numbers may not fit into one.
    row = next((row for row, value in enumerate(values) if not 0 <= value < len(classes)), None)
    if row is not None:
        raise _wrong(
            where(row),
            f"a label of 0 to {len(classes) - 1}",
            str(values[row]),
            "Label this row, or take another split: hidden labels are often stored as -1.",
        )
    return torch.tensor(values, dtype=torch.int64)


def _counted(values: Sequence[int], where: Callable[[int], str]) -> tuple[str, ...]:
    most = max(values, default=-1)
    if most >= max(len(values), _FEW_CLASSES):
        raise _wrong(
            where(list(values).index(most)),
            "class numbers counted from 0",
            str(most),
            "Set data.label_column to the column of classes.",
        )
    return tuple(str(number) for number in range(most + 1))


def _wrong(where: str, wanted: str, got: str, cure: str) -> DataError:
    return DataError(where, wanted=wanted, got=got, cure=cure)
