"""What the sections of a recipe have in common: strict validation, and types that say what is allowed."""

from typing import Annotated, TypeAlias

from pydantic import ConfigDict, Field, StringConstraints

__all__ = ["STRICT", "STRICT_DATACLASS", "Count", "Name", "Ratio"]

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
STRICT_DATACLASS = ConfigDict(extra="forbid", strict=True)  # pydantic takes `frozen` from the decorator here

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Ratio: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
