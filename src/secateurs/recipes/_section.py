"""What the sections of a recipe have in common: strict validation, and types that say what is allowed."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from secateurs._errors import SecateursError

__all__ = ["STRICT", "STRICT_DATACLASS", "Count", "Name", "Ratio", "SaysWhere"]

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
STRICT_DATACLASS = ConfigDict(extra="forbid", strict=True)  # pydantic takes `frozen` from the decorator here

# Names of files that some systems take for a device, with any ending.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{kind}{number}" for kind in ("com", "lpt") for number in range(10))}
)


def _no_device(name: str) -> str:
    if name.partition(".")[0].lower() in _DEVICES or name.endswith("."):
        raise ValueError("a name that every system takes for a folder's")
    return name


# Names become folders: nothing hidden, nothing above, and short enough for every file system.
Name: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100), AfterValidator(_no_device)
]
Ratio: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Count: TypeAlias = Annotated[int, Field(ge=1)]


class SaysWhere:
    """First among the bases of a section that inherits the options of a room.

    What the room refuses becomes an error of pydantic's, which knows where in the file it is.
    """

    def __post_init__(self) -> None:
        check = getattr(super(), "__post_init__", None)
        try:
            if check is not None:
                check()
        except SecateursError as error:
            raise ValueError(str(error)) from error
