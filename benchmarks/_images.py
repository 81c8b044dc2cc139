"""Images of CIFAR-10 or CIFAR-100 as tensors, normalised as a network expects them."""

from pathlib import Path

import torch
from torch import Tensor

__all__ = ["NORMAL", "first_images"]

NORMAL = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}
"""Means and standard deviations; of our own recipes those of the training images."""


def first_images(folder: Path, part: str, count: int, normal: str) -> list[tuple[Tensor, Tensor]]:
    """The first images of a part and their labels, in batches of 128."""
    import datasets

    rows = datasets.load_dataset("parquet", data_files=str(folder / f"{part}*.parquet"), split=f"train[:{count}]")
    labels = rows["label" if "label" in rows.column_names else "fine_label"]
    pixels = [torch.frombuffer(bytearray(row.convert("RGB").tobytes()), dtype=torch.uint8) for row in rows["img"]]
    mean, std = (torch.tensor(values)[:, None, None] for values in NORMAL[normal])
    found = (torch.stack(pixels).reshape(-1, 32, 32, 3).permute(0, 3, 1, 2).float() / 255 - mean) / std
    return list(zip(found.split(128), torch.tensor(labels).split(128), strict=True))
