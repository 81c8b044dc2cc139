"""The picture of a network, for `inspect`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from secateurs._errors import ConfigError
from secateurs._files import write_text
from secateurs.cli._console import out

if TYPE_CHECKING:
    from secateurs.graph import Graph

__all__ = ["draw_network"]


def draw_network(
    graph: "Graph", dense: "Graph | None", *, plan: Path | None, html: Path | None, svg: Path | None
) -> None:
    """Write the picture as HTML, as SVG, or both.

    Args:
        graph: of the network as it is.
        dense: of the network before the cuts that its weights carry; None where there are none.
        plan: of a cut to be shown; refused on top of weights that are cut already.
    """
    from secateurs.reporting.html import network_page, network_svg

    told = _outline(graph, dense, plan)
    for file, make in ((html, network_page), (svg, network_svg)):
        if file is not None:
            write_text(file, make(told))
            out().print(f"drawn in {file}", markup=False, soft_wrap=True)


def _outline(graph: "Graph", dense: "Graph | None", plan: Path | None) -> dict[str, Any]:
    from secateurs.graph import Plan, outline, outline_of_cut

    if plan is None:
        return outline(graph) if dense is None else outline_of_cut(outline(dense), outline(graph))
    if dense is not None:
        raise ConfigError(
            "--plan", wanted="dense weights", got="weights that are cut already", cure="Leave out --plan or --weights."
        )
    return outline(graph, graph.plan(Plan.load(plan).removed))
