"""Flags of an old command line as values by key."""

import re
from collections.abc import Iterable, Sequence

from secateurs._errors import ConfigError
from secateurs._nearest import nearest_hint
from secateurs.convert._key import Key

__all__ = ["key_names", "read_flags", "unknown_key"]

_ALIASES = {
    "a": "arch",
    "b": "batch_size",
    "e": "evaluate",
    "j": "workers",
    "p": "print_freq",
    "learning_rate": "lr",
    "wd": "weight_decay",
    "gp_warm_up_epoch": "gp_warm_up_epochs",
}
_NUMBER = re.compile(r"-[0-9.]")


def key_names(keys: Iterable[Key]) -> dict[str, str]:
    """Every spelling that means a key: dashes and underscores are the same, and short flags have their letter."""
    return {**_ALIASES, **{key.name: key.name for key in keys}}


def read_flags(flags: Sequence[str], keys: Iterable[Key]) -> dict[str, str]:
    """`--flag value ...`: several values with spaces between; a flag alone is true.

    Raises:
        ConfigError: a flag that the old command line does not have, or twice the same.
    """
    names, values = key_names(keys), dict[str, list[str]]()
    current: list[str] | None = None
    for word in flags:
        if word.startswith("-") and not _NUMBER.match(word):
            flag, equals, value = word.lstrip("-").partition("=")
            name = names.get(flag.replace("-", "_").lower())
            if name is None:
                raise unknown_key(word, flag.replace("-", "_"), names)
            if name in values:
                raise ConfigError(word, wanted="each flag once", got="it twice", cure="Leave one of them out.")
            current = values[name] = [value] if equals else []
        elif current is None:
            raise ConfigError(word, wanted="a flag such as --prune-rate", got=repr(word), cure="Write its flag first.")
        else:
            current.append(word)
    return {name: " ".join(found) if found else "true" for name, found in values.items()}


def unknown_key(where: str, name: str, names: Iterable[str]) -> ConfigError:
    """The error for a key or flag that the old program does not have."""
    long = [known for known in names if len(known) > 1]
    cure = nearest_hint(name, long, f"Known are {', '.join(sorted(long))}.")
    return ConfigError(where, wanted="a known key", got=repr(name), cure=cure)
