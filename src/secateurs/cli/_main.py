"""Where the command line begins and ends: errors in one line, exit codes."""

import os
import sys
from collections.abc import Sequence

import typer

from secateurs._errors import Interrupted, RankError, SecateursError
from secateurs._process_group import record_failure
from secateurs.cli import _convert, _export, _listing, _network, _plot, _report, _runs, _study, _sweep
from secateurs.cli._console import complain

__all__ = ["main"]

# typer brings its own copy of click in newer versions and uses the real one in older ones; either way this is
# the base of what it raises about the command line itself.
_UsageError: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="secateurs",
    help="Cuts trained PyTorch networks down to what they need, and proves that the cut is right.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_listing.show_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    pass


for _module in (_study, _sweep, _network, _export, _runs, _plot, _report, _listing, _convert):
    _module.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0, 2 for bad input, 130 or 143 when interrupted."""
    # Models are named as they would be imported in the folder where the command is given.
    if "" not in sys.path:
        sys.path.insert(0, "")
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        code = command.main(args=arguments, prog_name="secateurs", standalone_mode=False)
    except SecateursError as error:
        record_failure(error)
        # Under torchrun, the rank that has failed first says why.
        return 2 if isinstance(error, RankError) and os.environ.get("RANK", "0") != "0" else complain(str(error))
    except _UsageError as error:
        return _misused(error)
    except Interrupted as stop:
        complain(str(stop))
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return 130
    return code if isinstance(code, int) else 0


def _misused(error: Exception) -> int:
    message = str(getattr(error, "format_message", error.__str__)()).strip().rstrip(".")
    # Without a command, the help has been printed and there is nothing to add.
    return complain(f"{message}. See secateurs -h.") if message else 2
