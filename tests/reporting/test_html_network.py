"""Pictures of networks: rows in order of execution, lines that do not run into each other, whatever the network."""

from itertools import combinations
from xml.etree import ElementTree

import pytest
import torch

import secateurs as sec
from secateurs.cli import main
from secateurs.graph import outline
from secateurs.reporting.html import network_page, network_picture, network_svg
from secateurs.reporting.html._layout import laid_out, visible
from tests.reporting._html import HOSTILE, Parsed
from tests.reporting._html import outline as small


@pytest.fixture(scope="module")
def told() -> dict[str, object]:
    graph = sec.trace(sec.models.build("resnet20", classes=10), args=(torch.zeros(1, 3, 16, 16),))
    return outline(graph, graph.plan({"layer2.0.conv1": range(20), "conv1": [1, 2]}))


def test_lines_in_one_lane_do_not_meet(told: dict[str, object]) -> None:
    layout = laid_out(told)
    assert len(layout.rails) == len({rail.name for rail in layout.rails}) == 12
    for one, other in combinations(layout.rails, 2):
        assert one.lane != other.lane or one.last < other.first or other.last < one.first
    stream = next(rail for rail in layout.rails if rail.name == "conv1")
    assert (stream.size, stream.kept) == (16, 14)
    assert [layout.rows[row].path for row in sorted(stream.makes)][:2] == ["conv1", "layer1.0.conv2"]


def test_every_layer_is_a_row_once_and_modules_hold_theirs(told: dict[str, object]) -> None:
    layout = laid_out(told)
    leaves = [node for _, node in visible(layout.nodes) if not node.inner]
    assert [layout.rows[node.start].path for node in leaves] == [node.path for node in leaves]
    assert [node.name for node in layout.nodes] == ["conv1", "layer1", "layer2", "layer3", "linear"]
    assert [inner.name for inner in layout.nodes[1].inner] == ["0", "1", "2"]


def test_the_page_says_what_each_axis_keeps(told: dict[str, object]) -> None:
    page = Parsed(network_page(told))
    (picture,) = [a for a in page.of("div") if a.get("class") == "network"]
    assert "layer2.0.conv1: 12 of 32 units kept" in str(picture["data-axes"])
    assert len(page.of("details")) == 3 + 9
    assert "an output of the model" in page.text


def test_the_svg_is_xml_and_shows_the_same_rows(told: dict[str, object]) -> None:
    root = ElementTree.fromstring(network_svg(told))
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    rows = [node.name for _, node in visible(laid_out(told).nodes)]
    assert [text.split("  ")[0] for text in texts[1::2]] == rows


def test_hostile_layers_are_text() -> None:
    assert not Parsed(network_picture(small(HOSTILE))).of("script")
    ElementTree.fromstring(network_svg(small(HOSTILE)))


def test_inspect_draws_cut_weights_over_the_dense_network(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path_factory.mktemp("inspect")
    graph = sec.trace(sec.models.build("resnet8"), args=(torch.zeros(1, 3, 32, 32),))
    plan = graph.plan({"layer2.0.conv1": range(31)})
    sec.save(sec.apply(graph.model, plan, verify=False), folder / "small.safetensors")
    plan.save(folder / "plan.json")
    pages = []
    for given in (["--weights", str(folder / "small.safetensors")], ["--plan", str(folder / "plan.json")]):
        with pytest.raises(SystemExit) as left:
            main(["inspect", "resnet8", *given, "--html", str(folder / "a.html"), "--svg", str(folder / "a.svg")])
        assert left.value.code == 0, capsys.readouterr().err
        pages.append((folder / "a.html").read_text(encoding="utf-8"))
    for page in pages:  # a single unit is no axis any more
        assert "layer2.0.conv1: 1 of 32 units kept" in page
