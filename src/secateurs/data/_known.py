"""Data sets that go by one word."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

__all__ = ["HUB_NAMES", "KNOWN", "local_copy"]

HUB_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "mnist": "ylecun/mnist",
        "fashion_mnist": "zalando-datasets/fashion_mnist",
        "cifar10": "uoft-cs/cifar10",
        "cifar100": "uoft-cs/cifar100",
    }
)
"""What the hub calls them."""

KNOWN = ("digits", *HUB_NAMES)
"""All of them; digits come with scikit-learn."""


def local_copy(name: str) -> Path | None:
    """The folder of that name in the one that SECATEURS_DATA names, if there is one."""
    place = os.environ.get("SECATEURS_DATA")
    folder = Path(place) / name if place else None
    return folder if folder is not None and folder.is_dir() else None
