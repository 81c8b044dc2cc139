"""What all pictures share: the backend without a screen, the colours, the atomic write."""

import io
from pathlib import Path
from typing import Any

from secateurs._errors import ConfigError
from secateurs._files import write_bytes

__all__ = ["BLUE", "COLOURS", "GREY", "LIGHT", "ORANGE", "new_figure", "save_figure"]

# Okabe and Ito, 2008: told apart with any colour vision, and in grey print by their lightness.
BLUE, ORANGE, GREY, LIGHT = "#0072B2", "#E69F00", "#4D4D4D", "#D9D9D9"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", GREY)


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure of so many inches, with no global state behind it.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "plots", wanted="matplotlib", got="none installed", cure="pip install 'secateurs[plots]'"
        ) from error
    # Figure, not pyplot: pyplot keeps figures and a backend for the whole process.
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: Path) -> Path:
    """Write the figure as PNG; equal figures give equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
    return path
