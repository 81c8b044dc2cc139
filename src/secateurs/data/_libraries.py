"""Libraries of the `train` extra, imported when first needed."""

import importlib
from typing import Any

from secateurs._errors import DataError

__all__ = ["library"]


def library(module: str) -> Any:
    """The imported `module`; a `DataError` that names the extra where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            "secateurs.data",
            wanted=f"the Python module {module}",
            got=str(error),
            cure="Install the extra: pip install 'secateurs[train]'.",
        ) from error
