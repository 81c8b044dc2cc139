"""What all pictures share: the backend without a screen, the atomic write."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from secateurs._errors import ConfigError
from secateurs._files import write_bytes
from secateurs.reporting._colours import BLUE, GREY, LIGHT, ORANGE, colour_of, marker_of

__all__ = [
    "BLUE",
    "GREY",
    "LIGHT",
    "ORANGE",
    "PictureFormat",
    "colour_of",
    "drawn_as",
    "legend_beside",
    "marker_of",
    "name_layers",
    "new_figure",
    "save_figure",
    "tidy",
]

PictureFormat: TypeAlias = Literal["png", "svg", "pdf"]
_NO_DATES: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}
# Many functions draw, and one caller says how pictures are stored.
_format: ContextVar[PictureFormat] = ContextVar("format", default="png")


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


def tidy(axes: Any) -> None:
    """No frame but the two axes, and light lines behind what is shown."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)


def legend_beside(axes: Any) -> None:
    """The legend on the right, where it hides nothing."""
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))


def name_layers(axes: Any, layers: Sequence[str]) -> None:
    """Layers along the horizontal axis, in their order, at 0, 1, ..."""
    axes.set_xticks(range(len(layers)), layers, rotation=90, fontsize=8)
    axes.set_xlim(-0.6, len(layers) - 0.4)


@contextmanager
def drawn_as(picture_format: PictureFormat) -> Iterator[None]:
    """Pictures that are written inside are of this format.

    Raises:
        ConfigError: no such format.
    """
    if picture_format not in get_args(PictureFormat):
        wanted = ", ".join(get_args(PictureFormat))
        raise ConfigError("format", wanted=f"one of {wanted}", got=repr(picture_format), cure="Choose one of these.")
    token = _format.set(picture_format)
    try:
        yield
    finally:
        _format.reset(token)


def save_figure(figure: Any, path: Path) -> Path:
    """Write the figure, with the ending of its format in the place of the path's; equal figures give equal bytes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    buffer, kind = io.BytesIO(), _format.get()
    with rc_context({"svg.hashsalt": "secateurs"}):
        figure.savefig(buffer, format=kind, dpi=150, metadata=_NO_DATES[kind])
    path = path.with_suffix(f".{kind}")
    write_bytes(path, buffer.getvalue())
    return path
