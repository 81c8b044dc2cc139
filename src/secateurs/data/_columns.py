"""Which column holds the images and which the labels."""

from collections.abc import Callable, Mapping
from typing import Any

from secateurs._errors import DataError
from secateurs._nearest import nearest_hint
from secateurs.data._libraries import library

__all__ = ["image_column", "is_integer", "is_named", "label_column", "superclass_column"]

_USUAL_SUPERCLASSES = ("coarse_label", "coarse_labels", "superclass", "super_class", "supercategory")
_USUAL_LABELS = ("label", "labels", "fine_label", "target", "class")


def image_column(features: Mapping[str, Any], asked: str | None, where: str) -> str:
    """The column asked for, else the first of images, else the first that holds encoded bytes."""
    if asked is not None:
        return _asked(features, asked, "image", _may_be_image, where)
    typed = [name for name, feature in features.items() if isinstance(feature, library("datasets").Image)]
    encoded = [name for name, feature in features.items() if _is_encoded(feature)]
    return _first(typed + encoded, features, "image", where)


def label_column(features: Mapping[str, Any], asked: str | None, where: str) -> str:
    """The column asked for, else the first with a usual name, else the first of named classes."""
    if asked is not None:
        return _asked(features, asked, "label", _may_be_label, where)
    usual = [name for name in _USUAL_LABELS if name in features and _may_be_label(features[name])]
    named = [name for name, feature in features.items() if is_named(feature)]
    return _first(usual + named, features, "label", where)


def superclass_column(features: Mapping[str, Any], asked: str | None, label: str, where: str) -> str | None:
    """The column asked for, else the first with a usual name that is not that of the labels; None where none is."""
    if asked is not None:
        return _asked(features, asked, "superclass", _may_be_label, where)
    usual = (name for name in _USUAL_SUPERCLASSES if name in features and name != label)
    return next((name for name in usual if _may_be_label(features[name])), None)


def is_named(feature: Any) -> bool:
    """Whether a feature is numbers with class names."""
    return isinstance(feature, library("datasets").ClassLabel)


def is_integer(feature: Any) -> bool:
    """Whether a feature is plain integers."""
    return isinstance(feature, library("datasets").Value) and "int" in feature.dtype


def _may_be_label(feature: Any) -> bool:
    text = isinstance(feature, library("datasets").Value) and feature.dtype in ("string", "large_string")
    return text or is_named(feature) or is_integer(feature)


def _may_be_image(feature: Any) -> bool:
    return isinstance(feature, library("datasets").Image) or _is_encoded(feature)


def _is_encoded(feature: Any) -> bool:
    """Bytes of image files, plain or as {bytes, path}, in Parquet files that name no features."""
    if isinstance(feature, dict):
        return "bytes" in feature and set(feature) <= {"bytes", "path"}
    return isinstance(feature, library("datasets").Value) and feature.dtype in ("binary", "large_binary")


def _asked(features: Mapping[str, Any], asked: str, kind: str, right: Callable[[Any], bool], where: str) -> str:
    if asked not in features:
        raise DataError(
            where,
            wanted=f"{kind}_column to be one of " + ", ".join(features),
            got=repr(asked),
            cure=nearest_hint(asked, features, f"Set data.{kind}_column to one of these."),
        )
    if not right(features[asked]):
        raise DataError(
            where,
            wanted=f"{kind}s in column {asked!r}",
            got=f"a column of {features[asked]}",
            cure=f"Set data.{kind}_column to another column.",
        )
    return asked


def _first(candidates: list[str], features: Mapping[str, Any], kind: str, where: str) -> str:
    if not candidates:
        raise DataError(
            where,
            wanted=f"a column of {kind}s",
            got="the columns " + (", ".join(features) or "(none)"),
            cure=f"Name it by data.{kind}_column.",
        )
    return candidates[0]
