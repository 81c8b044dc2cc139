"""Reference networks, named in one table, with published parameter counts."""

from secateurs.models._cifar_resnet import PadShortcut
from secateurs.models._table import TABLE, ModelEntry, build, names

__all__ = ["TABLE", "ModelEntry", "PadShortcut", "build", "names"]
