"""Values of a recipe that depend on its data set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from secateurs._errors import ConfigError
from secateurs.recipes._overrides import override

__all__ = ["data_choices", "fit_to_data"]

_KEY = "for_data"


def data_choices(config: Any, changes: Mapping[str, Any]) -> tuple[str, ...]:
    """The data sets that the recipe knows, where it has none yet and wants one; else nothing."""
    known = config.get(_KEY) if isinstance(config, dict) else None
    if not isinstance(known, dict) or _data_name(override(config, changes)) is not None:
        return ()
    return tuple(map(str, known))


def fit_to_data(config: Mapping[str, Any], changes: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """The recipe with the values for its data set, and with `changes`, which have the last word.

    A local folder goes by its name.

    Raises:
        ConfigError: the recipe leaves the data set open, and so do the changes.
    """
    changed = override(config, changes)
    known = changed.pop(_KEY, None)
    if known is None:
        return changed
    if not isinstance(known, dict) or not all(isinstance(values, dict) for values in known.values()):
        raise ConfigError(
            _KEY,
            wanted="a mapping of data sets to {dotted path: value}",
            got=type(known).__name__,
            cure=f"Correct it in {source}.",
        )
    name = _data_name(changed)
    if name is None:
        choices = ", ".join(map(str, known))
        raise ConfigError(
            "data.name",
            wanted=f"one of {choices}, or another data set",
            got="nothing",
            cure=f"Say which, for example data.name={next(iter(known), 'digits')}.",
        )
    plain = {key: value for key, value in config.items() if key != _KEY}
    own = {path: value for path, value in changes.items() if path.partition(".")[0] != _KEY}
    return override(override(plain, known.get(name, {})), own)


def _data_name(config: Mapping[str, Any]) -> str | None:
    data = config.get("data")
    if not isinstance(data, dict):
        return None
    if data.get("name") is not None:
        return str(data["name"])
    return None if data.get("path") is None else Path(str(data["path"])).name
