"""What to tell someone who wrote a name that does not exist."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["nearest_hint"]


def nearest_hint(name: object, known: Iterable[str], otherwise: str) -> str:
    """A cure with the most similar of the known names, or `otherwise` where none is similar."""
    near = get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else otherwise
