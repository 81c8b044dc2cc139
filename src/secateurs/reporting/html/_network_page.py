"""The page about one network: its picture, what may be cut in it, and what may not."""

from collections.abc import Mapping
from typing import Any

from secateurs.reporting.html._fixed import axes_table, fixed_table
from secateurs.reporting.html._markup import tag
from secateurs.reporting.html._network import network_picture
from secateurs.reporting.html._numbers import short
from secateurs.reporting.html._page import Section, page

__all__ = ["network_page"]

_ABOUT = (
    "Layers from top to bottom in order of execution; click or press Enter to open and close modules. Each coloured "
    "line is an axis, as wide as it has units, and pale where these are gone: a dot where a layer makes its units, an "
    "arrow where one reads them. Bars are multiply-adds."
)


def network_page(outline: Mapping[str, Any]) -> str:
    """The page, from an outline (`secateurs.graph.outline`); with a plan it shows what is left."""
    macs = [sum(module["macs"][side] for module in outline["modules"]) for side in (0, 1)]
    told = short(macs[0]) if macs[0] == macs[1] else f"{short(macs[0])} to {short(macs[1])}"
    units = sum(axis["size"] for axis in outline["axes"])
    lead = f"{told} MACs for the example; {len(outline['axes'])} axes with {units:,} units."
    picture = [tag("p", _ABOUT, class_="note"), network_picture(outline)]
    return page(
        str(outline["network"]),
        lead,
        [
            Section(anchor="picture", title="Picture", content=picture),
            Section(anchor="axes", title="What may be cut", content=axes_table(outline)),
            Section(anchor="fixed", title="What may not be cut, and why", content=fixed_table(outline)),
        ],
    )
