"""Reports: they show what run directories hold, whatever state these are in, and nothing else gets into the page."""

import json
import math
from importlib.resources import files
from pathlib import Path

import pytest

from secateurs import SecateursError
from secateurs.cli import main
from secateurs.recipes._pictures import report_on
from secateurs.reporting import catalogue
from secateurs.reporting.html import report_page, write_report
from secateurs.reporting.html._markup import tag
from secateurs.reporting.html._tradeoff import pareto
from tests.reporting._html import HOSTILE, Parsed, one_run, outline, study, timed
from tests.reporting._runs import write_run


def page_of(*folders: Path) -> Parsed:
    return Parsed(report_page(catalogue(folders, held=lambda _: False)))


def test_a_run_is_told_with_its_figures_reasons_and_command(tmp_path: Path) -> None:
    page = page_of(one_run(tmp_path / "run"))
    for words in (
        "98.32 %",
        "98.60 % before",
        "2.00\u00d7 less",
        "50.0 %",
        "1.25 ms (0.625 to 2.50)",
        "cut 50 % of macs",
    ):
        assert words in page.text
    assert "an output of the model" in page.text
    assert f"secateurs run {tmp_path}/run/config.yaml --out {tmp_path}/run-again" in page.text
    tips = [attributes.get("data-tip") or "" for _, attributes in page.tags]
    assert any("conv1: 1 of 16 units\nproduces: conv1.weight[0]\nreads: block.fc.weight[1]" in tip for tip in tips)


def test_variants_have_means_spreads_and_one_colour_for_each_method(tmp_path: Path) -> None:
    page = page_of(study(tmp_path / "study", {"l2-50": 0.5, "l2-80": 0.2}))
    assert "94.10 ± 0.14" in page.text
    assert "91.70 ± 0.14" in page.text
    pressed = [attributes["data-series"] for attributes in page.of("button") if "aria-pressed" in attributes]
    assert pressed == ["l2"]
    assert {a["data-series"] for a in page.of("g") if "data-series" in a} >= {"l2", "Pareto front", "before"}


def test_methods_whose_recipes_differ_are_two(tmp_path: Path) -> None:
    folder = study(tmp_path / "study", {"a": 0.5, "b": 0.2})
    for seed in range(2):
        (folder / "b" / str(seed) / "config.yaml").write_text("name: small\ncriterion: other\n")
    pressed = [attributes["data-series"] for attributes in page_of(folder).of("button") if "aria-pressed" in attributes]
    assert pressed == ["a", "b"]


def test_vertices_are_the_epochs(tmp_path: Path) -> None:
    """The oracle of hovering: places of a curve, turned back into numbers, are those of metrics.jsonl."""
    page = page_of(one_run(tmp_path / "run"))
    (plot,) = [a for a in page.of("svg") if (a.get("aria-label") or "").startswith("Loss by epoch")]
    x0, x1, y0, y1, left, right, bottom, top, log, whole = map(float, str(plot["data-frame"]).split())
    assert (log, whole) == (0, 1)
    line = next(a for a in page.of("polyline") if a["data-label"] == "train, 00-train" and _is_in(page, a, plot))
    places = [tuple(map(float, pair.split(","))) for pair in str(line["points"]).split()]
    found = [
        (x0 + (x - left) / (right - left) * (x1 - x0), y0 + (bottom - y) / (bottom - top) * (y1 - y0))
        for x, y in places
    ]
    for (epoch, loss), (wanted, exact) in zip(found, [(1, 1.0), (2, 1 / 2), (3, 1 / 3)], strict=True):
        assert epoch == pytest.approx(wanted, abs=0.01)
        assert loss == pytest.approx(exact, abs=0.005)


def _is_in(page: Parsed, line: dict[str, str | None], plot: dict[str, str | None]) -> bool:
    """It comes after that plot, and before the next."""
    order = [id(attributes) for _, attributes in page.tags]
    plots = [id(a) for a in page.of("svg") if "data-frame" in a]
    begun = [each for each in plots if order.index(each) < order.index(id(line))]
    return begun[-1] == id(plot)


def test_hostile_names_are_text(tmp_path: Path) -> None:
    content = {**timed(), "name": HOSTILE, "status": "failed", "error": HOSTILE, "network": HOSTILE}
    content["stages"][1]["results"]["axes"][0]["name"] = HOSTILE
    folder = write_run(tmp_path / "<img src=x onerror=alert(1)>", content)
    (folder / "graph.json").write_text(json.dumps({**outline(HOSTILE), "network": HOSTILE, "notes": [HOSTILE]}))
    (folder / "config.yaml").write_text(f"name: '</pre>{HOSTILE}'", encoding="utf-8", errors="replace")
    text = report_page(catalogue([tmp_path], held=lambda _: False))
    page = Parsed(text)
    assert len(page.of("script")) == 1
    assert not page.of("img")
    assert "<script>alert(1)" in page.text
    text.encode()


def test_nothing_is_loaded_and_no_other_script_may_run(tmp_path: Path) -> None:
    page = page_of(one_run(tmp_path / "run"))
    links = [attributes["href"] for attributes in page.of("a")]
    assert all(str(link).startswith("#") for link in links)
    assert not page.of("link")
    assert not any(
        "src" in attributes or any(key.startswith("on") for key in attributes) for _, attributes in page.tags
    )
    policy = next(a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'")
    assert "script-src 'sha256-" in str(policy)


def test_failed_unfinished_and_damaged_runs_are_shown_as_such(tmp_path: Path) -> None:
    one_run(tmp_path / "good")
    half = one_run(tmp_path / "half")
    (half / "run.json").write_text('{"name": "half", "sta')
    stopped = one_run(tmp_path / "stopped")
    running = {**timed(), "status": "running", "summary": {}}
    running["stages"][2]["status"] = "running"
    (stopped / "run.json").write_text(json.dumps(running))
    with (stopped / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "02-retrain", "epo')
    failed = one_run(tmp_path / "failed")
    (failed / "run.json").write_text(
        json.dumps({**timed(), "status": "failed", "error": "the disk is full", "summary": {}})
    )
    page = page_of(tmp_path)
    told = [attributes["class"] for attributes in page.of("td") if "status " in (attributes.get("class") or "")]
    assert sorted(str(each) for each in told) == [
        "status damaged",
        "status failed",
        "status finished",
        "status stopped",
    ]
    assert "the disk is full" in page.text
    assert "98.32 %" in page.text


@pytest.mark.parametrize("value", ["NaN", "Infinity", '"x"', "null", "[]", "{}", "1e999", "-1"])
@pytest.mark.parametrize("key", ["test_accuracy", "macs", "latency", "latency_ms"])
def test_no_value_in_a_file_stops_the_page(tmp_path: Path, key: str, value: str) -> None:
    folder = one_run(tmp_path / "run")
    text = json.dumps({**timed(), "summary": {"before": {key: "HERE"}, "after": {key: "HERE"}}})
    (folder / "run.json").write_text(text.replace('"HERE"', value))
    assert "an output of the model" in page_of(folder).text


@pytest.mark.parametrize("name", ["graph.json", "config.yaml", "metrics.jsonl"])
@pytest.mark.parametrize("content", ["", "[", "[]", "null", '{"axes": 1, "modules": [{}]}', "\0\ufffd"])
def test_no_file_stops_the_page(tmp_path: Path, name: str, content: str) -> None:
    folder = one_run(tmp_path / "run")
    (folder / name).write_text(content)
    assert "98.32 %" in page_of(folder).text


def test_the_front_is_what_nothing_beats() -> None:
    places = [(math.sin(7 * n) + 2, math.cos(13 * n)) for n in range(60)]
    beaten = [any(x <= a and y >= b and (x, y) != (a, b) for x, y in places) for a, b in places]
    assert pareto(places) == sorted(place for place, lost in zip(places, beaten, strict=True) if not lost)


def test_tags_escape_texts_and_values() -> None:
    assert tag("p", "<&", None, tag("b", 'a"b'), title='"<') == '<p title="&quot;&lt;">&lt;&amp;<b>a&quot;b</b></p>'


def test_the_command_writes_beside_one_folder_or_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = one_run(tmp_path / "run")
    for arguments, file in (([], folder / "report.html"), (["--out", str(tmp_path / "a.html")], tmp_path / "a.html")):
        with pytest.raises(SystemExit) as left:
            main(["report", str(folder), *arguments])
        assert left.value.code == 0
        assert capsys.readouterr().out.strip() == str(file)
        assert file.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_where_there_are_no_runs_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(SecateursError, match="wanted at least one run, got none"):
        write_report([tmp_path], tmp_path / "report.html", held=lambda _: False)
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_is_told_and_breaks_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    folder = one_run(tmp_path / "run")
    (folder / "report.html").mkdir()
    report_on(folder, told.append)
    assert len(told) == 1
    assert told[0].startswith("no report: ")


def test_style_and_script_come_with_the_package() -> None:
    room = files("secateurs.reporting.html")
    assert all((room / name).is_file() for name in ("style.css", "script.js"))
