"""A residual network by its depth."""

import re
from collections.abc import Iterable

from secateurs.convert._old_file import OldFile

__all__ = ["resnet_of"]


def resnet_of(old: OldFile, key: str, names: Iterable[str]) -> str:
    """The one of these networks that has the depth which `key` says.

    Raises:
        ConfigError: none has, with the nearest depth.
    """
    depths = {int(found[1]): name for name in names if (found := re.fullmatch(r"resnet(\d+)", name))}
    depth = old.whole(key, least=1)
    if depth not in depths:
        near = min(depths, key=lambda known: abs(known - depth))
        cure = f"The nearest is {near}; all are {', '.join(map(str, sorted(depths)))}."
        raise old.wrong(key, "the depth of a resnet that is here", cure)
    return depths[depth]
