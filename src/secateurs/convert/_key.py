"""One key of an old file."""

from dataclasses import dataclass

__all__ = ["Key"]


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key that an old system reads.

    Attributes:
        name: as its own files and pages spell it; upper and lower case are the same.
        here: where its value goes in a recipe, or what does its work; as docs/convert.md shows it.
        dropped: why a recipe has no place for it; empty where it has one.
        section: of the file, where it has sections.
        aliases: other spellings.
    """

    name: str
    here: str = ""
    dropped: str = ""
    section: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def meaning(self) -> str:
        """What docs/convert.md says of it."""
        return f"dropped: {self.dropped}" if self.dropped else self.here
