"""What notebooks show: the figures, escaped, and without colours that a dark page could not show."""

import re
from html.parser import HTMLParser

import pytest
import torch
from torch import nn

import secateurs as sec
from secateurs.graph._html import page, table


class _Reader(HTMLParser):
    """Cells of all tables, and whether every tag that was opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.cells += [""] * (tag == "td")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += data


def _cells(text: str) -> list[str]:
    reader = _Reader()
    reader.feed(text)
    assert reader.open == []
    return reader.cells


@pytest.fixture(scope="module")
def graph() -> sec.Graph:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 36, 5))
    return sec.trace(model, torch.randn(1, 3, 8, 8))


def test_a_graph_shows_axes_and_what_is_not_prunable(graph: sec.Graph) -> None:
    cells = _cells(graph._repr_html_())
    start = cells.index("0")
    assert cells[start : start + 5] == ["0", "channel", "8", "yes", str(len(graph["0"].members))]
    assert all(entry.why in cells for entry in graph.fixed)


def test_a_plan_shows_what_goes_and_what_it_saves(graph: sec.Graph) -> None:
    plan = graph.plan({"0": [1, 2]})
    cells = _cells(plan._repr_html_())
    assert cells[-5:] == ["0", "8", "2", "6", "25.0%"]
    place = cells.index("macs")
    assert cells[place + 1 : place + 3] == [f"{plan.before.macs:,}", f"{plan.cost.macs:,}"]


def test_a_cost_shows_every_figure(graph: sec.Graph) -> None:
    cost = graph.cost()
    cells = _cells(cost._repr_html_())
    assert cells[cells.index("params") + 1] == f"{cost.params:,}"
    assert cells[cells.index("train_gops") + 1] == f"{cost.train_gops:,.4g}"


def test_hostile_names_are_shown_as_they_are() -> None:
    name = "<script>alert('&')</script>"
    text = page(table(name, (name,), [(name,)]))
    assert "<script" not in text
    assert _cells(text) == [name]


def test_colours_are_those_of_the_page(graph: sec.Graph) -> None:
    text = graph._repr_html_()
    assert set(re.findall(r"(?:#[0-9a-fA-F]{3,8}\b|rgba?\([^)]*\))", text)) == {"rgba(128,128,128,0.4)"}
    assert set(re.findall(r"(?<![-\w])color:(\w+)", text)) == {"inherit"}
    assert set(re.findall(r"background:(\w+)", text)) == {"transparent"}


def test_a_very_long_table_ends_with_how_much_more_there_is() -> None:
    cells = _cells(table("long", ("row",), [(str(row),) for row in range(700)]))
    assert len(cells) == 501
    assert cells[-1] == "and 200 more"
