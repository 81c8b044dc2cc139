"""Which names may be asked for on the Hugging Face hub."""

import re

from secateurs.data._known import KNOWN

__all__ = ["is_hub_name"]

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_PART}/{_PART}")
# Endings that would make it an archive, a script or a repository instead of a name.
_ENDINGS = (".py", ".git", ".zip")


def is_hub_name(name: str) -> bool:
    """Whether it is a known data set or OWNER/NAME, and not to be taken for a path, an address or a file format.

    Without an owner, `datasets` takes names such as csv or arrow for formats and reads the current folder.
    """
    if name in KNOWN:
        return True
    plain = _NAME.fullmatch(name) is not None and ".." not in name and "--" not in name
    return plain and not name.lower().endswith(_ENDINGS)
