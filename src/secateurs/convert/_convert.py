"""From an old file to a recipe: which system it is of, and whether the recipe is one."""

from collections.abc import Sequence
from pathlib import Path

from secateurs._errors import ConfigError
from secateurs.convert._adapt import convert_adapt
from secateurs.convert._conversion import Conversion
from secateurs.convert._hidden import convert_hidden
from secateurs.convert._ini import read_sections
from secateurs.convert._pruners import convert_pruners
from secateurs.convert._static import convert_static
from secateurs.recipes import parse, parse_yaml

__all__ = ["convert"]

_SECTIONED, _JSON, _YAML = (".ini", ".cfg", ".conf"), (".json",), (".yaml", ".yml")


def convert(path: Path, flags: Sequence[str] = ()) -> Conversion:
    """The recipe that does what an old config file asked its program for, with a note on whatever is otherwise.

    The ending says which program: ADaPT has .ini, the eigenbasis and gating framework .json, the neuron-pruning fork
    of hidden-networks .yaml or .yml, with the `flags` of its command line.

    Raises:
        FileError: no such file.
        ConfigError: a file that is malformed, or with keys or values that its program does not take.
    """
    ending = path.suffix.lower()
    if flags and ending not in _YAML:
        raise ConfigError(
            " ".join(flags),
            wanted=f"flags for a file that ends in {' or '.join(_YAML)} only",
            got=str(path),
            cure="Leave them out.",
        )
    if ending in _SECTIONED:
        sections = read_sections(path)
        made = (convert_pruners if "pruner" in sections else convert_adapt)(path, sections)
    elif ending in _JSON:
        made = convert_static(path)
    elif ending in _YAML:
        made = convert_hidden(path, flags)
    else:
        endings = ", ".join((*_SECTIONED, *_JSON, *_YAML))
        cure = "Name the config file of the old program; its ending says which program that was."
        raise ConfigError(str(path), wanted=f"a file that ends in {endings}", got=repr(path.suffix), cure=cure)
    # What is printed is what is checked.
    parse(parse_yaml(made.text(), where=str(path)), source=f"the recipe from {path}")
    return made
