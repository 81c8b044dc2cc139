"""One rank of a run that `launch` has started: `python -m secateurs.recipes._rank FILE`."""

import json
import sys
from pathlib import Path

import torch

from secateurs._errors import Interrupted, SecateursError
from secateurs._process_group import record_failure
from secateurs.recipes._config import parse
from secateurs.recipes._run import RunOptions
from secateurs.recipes._study import run

__all__ = ["main"]


def main(file: Path) -> int:
    """Do what the launcher wrote down; the exit code, with the error left where the launcher looks for it."""
    settings = json.loads(file.read_text(encoding="utf-8"))
    # A network of the user's own is found where the user's process would have found it.
    sys.path[:] = settings["path"]
    torch.set_num_threads(settings["threads"])
    recipe = parse(settings["recipe"], source="the recipe")
    try:
        run(recipe, Path(settings["out"]), RunOptions(notify=_say, **settings["options"]))
    except SecateursError as error:
        record_failure(error)
        return 2
    except Interrupted as stop:
        return stop.exit_code
    except Exception as error:
        record_failure(error)
        raise
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
