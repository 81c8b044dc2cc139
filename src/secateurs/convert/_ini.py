"""An old file with sections, read safely."""

import configparser
from collections.abc import Iterable, Mapping
from pathlib import Path

from secateurs._errors import ConfigError, FileError
from secateurs._nearest import nearest_hint
from secateurs.convert._key import Key

__all__ = ["checked_sections", "read_sections", "read_text"]

_MOST_BYTES = 2**20

Sections = Mapping[str, Mapping[str, str]]


def read_text(path: Path) -> str:
    """The text of an old file.

    Raises:
        FileError: no such file.
        ConfigError: no text, or more than any such file has.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        got = f"byte {error.start} that is not"
        raise ConfigError(str(path), wanted="UTF-8 text", got=got, cure="Save the file as UTF-8 text.") from error
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(str(path), wanted="a config file", got=reason, cure="Check the path.") from error
    if len(content) > _MOST_BYTES:
        cure = "Name the config file; the largest have some kilobytes."
        raise ConfigError(str(path), wanted=f"at most {_MOST_BYTES:,} bytes", got="more", cure=cure)
    return text


def read_sections(path: Path) -> dict[str, dict[str, str]]:
    """Values by section and lower-case key; nothing in a value is replaced.

    Raises:
        ConfigError: no such file format, with the line.
    """
    # No section lends its values to all others, as DEFAULT would.
    parser = configparser.ConfigParser(interpolation=None, default_section="\0")
    try:
        parser.read_string(read_text(path), source=str(path))
    except configparser.DuplicateOptionError as error:
        where = f"{path}, line {error.lineno}, [{error.section}] {error.option}"
        raise _malformed(where, "each key once", "it is there twice; upper and lower case are the same") from error
    except configparser.DuplicateSectionError as error:
        where = f"{path}, line {error.lineno}, [{error.section}]"
        raise _malformed(where, "each section once", "it is there twice") from error
    except configparser.MissingSectionHeaderError as error:
        line = f"{path}, line {error.lineno}"
        raise _malformed(line, "a section such as [dataset] before any key", repr(error.line[:60])) from error
    except configparser.ParsingError as error:
        number, line = error.errors[0]
        raise _malformed(f"{path}, line {number}", "KEY = VALUE or KEY: VALUE", str(line)[:60]) from error
    return {name: dict(parser[name]) for name in parser.sections()}


def checked_sections(path: Path, sections: Sections, keys: Iterable[Key]) -> dict[str, str]:
    """The values by key alone.

    Raises:
        ConfigError: a section or key that the old program does not have, with the nearest that it has.
    """
    known: dict[str, dict[str, Key]] = {}
    for key in keys:
        known.setdefault(key.section, {})[key.name.lower()] = key
    values: dict[str, str] = {}
    for section, found in sections.items():
        if section not in known:
            cure = nearest_hint(section.lower(), known, f"Sections are {', '.join(known)}.")
            raise ConfigError(f"{path}, [{section}]", wanted="a known section", got=repr(section), cure=cure)
        for name in found:
            if name not in known[section]:
                raise _unknown(f"{path}, [{section}] {name}", name, section, known)
        values |= found
    return values


def _unknown(where: str, name: str, section: str, known: Mapping[str, Mapping[str, Key]]) -> ConfigError:
    homes = [other for other, names in known.items() if name in names]
    spelled = ", ".join(key.name for key in known[section].values())
    cure = nearest_hint(name, known[section], f"Keys of [{section}] are {spelled}.")
    if homes:
        cure = f"It belongs in [{homes[0]}]."
    return ConfigError(where, wanted="a known key", got=repr(name), cure=cure)


def _malformed(where: str, wanted: str, got: str) -> ConfigError:
    return ConfigError(where, wanted=wanted, got=got, cure="Correct that line.")
