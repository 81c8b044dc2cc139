"""Which row is for training, for validation and for testing: decided once, kept with the run, used again by others."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from secateurs._errors import DataError, FileError
from secateurs._files import load_tensors, save_tensors
from secateurs._json import parse_json
from secateurs.data._split import Split

__all__ = ["SPLIT_FILE", "Division", "Rows", "fingerprint"]

SPLIT_FILE = "split.safetensors"
"""What it is called in a run's directory."""

_LEFT_OUT, _TRAIN, _VALIDATION, _TEST = range(4)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of the training split for training and validation, and of the test split (or the only one) for testing."""

    train: Tensor
    validation: Tensor
    test: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Division:
    """What every row of a data set is used for, whatever its class.

    Attributes:
        train: uint8 [rows of the training split]: 0 for nothing, 1 training, 2 validation, 3 testing.
        test: the same of the test split; None where the data set has one split only.
        name: of the data set.
        labels: SHA-256 of all labels, so that other data are noticed.
        mean: per channel, of the images for training, or as the run was told; None while that is not known.
        std: the same.
    """

    train: Tensor
    test: Tensor | None
    name: str
    labels: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @classmethod
    def of(cls, rows: Rows, train: Split, test: Split | None, name: str) -> "Division":
        """The division that these rows are."""
        uses = _uses(len(train.labels), {_TRAIN: rows.train, _VALIDATION: rows.validation})
        test_uses = None
        if test is None:
            uses[rows.test] = _TEST
        else:
            test_uses = _uses(len(test.labels), {_TEST: rows.test})
        return cls(train=uses, test=test_uses, name=name, labels=fingerprint(train, test))

    def rows(self) -> Rows:
        """Row numbers, ascending."""
        tested = self.train if self.test is None else self.test
        return Rows(
            train=_rows(self.train, _TRAIN), validation=_rows(self.train, _VALIDATION), test=_rows(tested, _TEST)
        )

    def check_fits(self, train: Split, test: Split | None) -> None:
        """Refuse data that it was not made for.

        Raises:
            DataError: other rows, or rows with other labels.
        """
        sizes = [len(split.labels) for split in (train, test) if split is not None]
        own = [len(uses) for uses in (self.train, self.test) if uses is not None]
        if sizes == own and self.labels == fingerprint(train, test):
            return
        got = "other labels" if sizes == own else f"splits of {' and '.join(map(str, sizes))} rows"
        raise DataError(
            train.where,
            wanted=f"the data set {self.name!r} that was divided, splits of {' and '.join(map(str, own))} rows",
            got=got,
            cure="Give the data, and data.label_column, with which the split was made; else start anew.",
        )

    def save(self, path: Path) -> None:
        """Write it as safetensors."""
        said = {"name": self.name, "labels": self.labels, "mean": self.mean, "std": self.std}
        tensors = {"train": self.train} | ({} if self.test is None else {"test": self.test})
        save_tensors(path, tensors, {"split": json.dumps(said)})

    @classmethod
    def load(cls, path: Path) -> "Division":
        """Read what `save` wrote.

        Raises:
            FileError: no such file, or a damaged one.
        """
        tensors, metadata = load_tensors(path, hashed=True)
        try:
            said = parse_json(metadata["split"])
            uses = [tensors[name] for name in ("train", "test") if name in tensors]
            if "train" not in tensors or any(part.dtype != torch.uint8 or part.dim() != 1 for part in uses):
                raise ValueError("no uses of rows")
            if any(len(part) and int(part.max()) > _TEST for part in uses) or len(uses) < len(tensors):
                raise ValueError("uses that are unknown")
            return cls(
                train=tensors["train"],
                test=tensors.get("test"),
                name=str(said["name"]),
                labels=str(said["labels"]),
                mean=_numbers(said["mean"]),
                std=_numbers(said["std"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            cure = "Name the split.safetensors of a run."
            raise FileError(str(path), wanted="the split of a data set", got=str(error), cure=cure) from error


def fingerprint(train: Split, test: Split | None) -> str:
    """SHA-256 of all labels."""
    found = hashlib.sha256()
    for split in (train, test):
        if split is not None:
            found.update(split.labels.contiguous().numpy().tobytes())
    return found.hexdigest()


def _uses(count: int, parts: dict[int, Tensor]) -> Tensor:
    uses = torch.full((count,), _LEFT_OUT, dtype=torch.uint8)
    for use, rows in parts.items():
        uses[rows] = use
    return uses


def _rows(uses: Tensor, use: int) -> Tensor:
    return (uses == use).nonzero().flatten()


def _numbers(values: Any) -> tuple[float, ...] | None:
    if values is None:
        return None
    if not isinstance(values, list) or not all(isinstance(v, float | int) and math.isfinite(v) for v in values):
        raise ValueError(f"numbers for each channel wanted, got {values!r:.60}")
    return tuple(map(float, values))
