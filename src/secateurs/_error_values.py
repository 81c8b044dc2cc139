"""Our errors as JSON values, for the other processes of a run."""

from collections.abc import Mapping

from secateurs import _errors
from secateurs._errors import SecateursError

__all__ = ["error_from", "error_values"]

_PARTS = ("where", "wanted", "got", "cure")


def error_values(error: SecateursError) -> dict[str, str]:
    """The error's class and what it says."""
    return {"kind": type(error).__name__, **{part: str(getattr(error, part)) for part in _PARTS}}


def error_from(values: Mapping[str, str]) -> SecateursError:
    """The error that `error_values` was given, perhaps in another process."""
    kind = getattr(_errors, values["kind"], None)
    chosen = kind if isinstance(kind, type) and issubclass(kind, SecateursError) else SecateursError
    where, wanted, got, cure = (values[part] for part in _PARTS)
    return chosen(where, wanted=wanted, got=got, cure=cure)
