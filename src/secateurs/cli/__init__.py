"""The command line."""

from secateurs.cli._main import main

__all__ = ["main"]
