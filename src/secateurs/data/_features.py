"""What the columns of a Parquet file are, from its schema and from what `datasets` noted in it.

Read here and not by `datasets`: it makes whatever objects a file's notes name, with whatever arguments they give.
"""

from collections.abc import Mapping
from typing import Any

from secateurs._errors import DataError
from secateurs._json import parse_json
from secateurs.data._libraries import library

__all__ = ["features_of"]

_NOTES = b"huggingface"
# Modes that Pillow can convert to.
_MODES = frozenset({None, "1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"})


def features_of(schema: Any, where: str) -> Any:
    """The `datasets.Features` of an Arrow schema; columns of types that `datasets` does not know are left out.

    Raises:
        DataError: notes that are damaged.
    """
    datasets = library("datasets")
    try:
        noted = {name: _noted(note) for name, note in _notes(schema).items()}
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise DataError(
            where,
            wanted="what `datasets` notes about columns, or nothing",
            got=f"notes that cannot be read: {error}",
            cure="The file is damaged or made by hand; write it again.",
        ) from error
    found = {}
    for field in schema:
        feature = noted.get(field.name)
        fits = feature is not None and datasets.Features({"x": feature}).arrow_schema.field("x").type == field.type
        plain = feature if fits else _plain(field)
        if plain is not None:
            found[field.name] = plain
    return datasets.Features(found)


def _notes(schema: Any) -> Mapping[str, Any]:
    text = (schema.metadata or {}).get(_NOTES)
    if text is None:
        return {}
    features = parse_json(text)["info"].get("features") or {}
    if not isinstance(features, dict):
        raise ValueError(f"features of type {type(features).__name__}")
    return features


def _noted(note: Any) -> Any:
    """The feature, of the two kinds that the schema alone does not tell."""
    datasets = library("datasets")
    kind = note.get("_type") if isinstance(note, dict) else None
    if kind == "Image":
        if note.get("mode") not in _MODES:
            raise ValueError(f"images of mode {note['mode']!r:.40}")
        return datasets.Image(mode=note.get("mode"))
    if kind == "ClassLabel":
        names = note["names"]
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ValueError(f"class names {names!r:.40}")
        return datasets.ClassLabel(names=names)
    return None


def _plain(field: Any) -> Any:
    """The feature of an Arrow type; None for one that `datasets` has no word for."""
    datasets, arrow = library("datasets"), library("pyarrow")
    try:
        return datasets.Features.from_arrow_schema(arrow.schema([field.with_name("x").remove_metadata()]))["x"]
    except (ValueError, TypeError, LookupError, NotImplementedError):
        return None
