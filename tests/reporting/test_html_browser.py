"""Reports in a real browser: charts are drawn, pointing at them tells, tables sort, nothing leaves the file.

The browser is Debian's Chromium, driven by Playwright, which is told where it is and fetches none.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from secateurs.reporting.html import network_page, write_report
from tests.reporting._html import HOSTILE, one_run, outline, study

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium")
    with sync_api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--disable-gpu", "--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    """A function from a file, and options of the browser, to its page; at the end, that no page has complained."""
    troubles: list[str] = []
    pages: list[Any] = []

    def open_page(file: Path, **options: Any) -> Any:
        page = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options}).new_page()
        page.set_default_timeout(120_000)  # for machines that do other work too
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: troubles.append(request.url) if request.url != file.as_uri() else None)
        page.goto(file.as_uri())
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.context.close()
    assert troubles == []


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    hostile = HOSTILE[:25].replace("/", "_")
    study(folder / "study", {"l2-50": 0.5, "l2-80": 0.2, hostile: 0.3})
    (folder / "study" / hostile / "0" / "config.yaml").write_text("criterion: other\n")
    return write_report([folder], folder / "report.html", held=lambda _: False)


def test_charts_are_drawn_and_tell_what_is_pointed_at(opened: Any, report: Path) -> None:
    page = opened(report)
    plots = page.locator("svg.plot:visible")
    assert plots.count() >= 5
    assert all(plots.nth(number).bounding_box()["height"] > 100 for number in range(plots.count()))
    page.locator(".mark[data-tip*='l2-50']").first.hover()
    assert re.search(r"l2-50\naccuracy 94\.10 ± 0\.14 over 2 runs\n1\.00 M MACs", page.locator("#tip").inner_text())
    assert page.locator("#tip").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()


def test_pointing_near_a_curve_tells_its_nearest_epoch(opened: Any, tmp_path: Path) -> None:
    page = opened(write_report([one_run(tmp_path / "run")], tmp_path / "report.html", held=lambda _: False))
    plot = page.locator("svg[aria-label^='Loss by epoch']")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    first = plot.locator("polyline").first.get_attribute("points").split()[1]
    x, y = (float(part) for part in first.split(","))
    scale = box["width"] / 460
    page.mouse.move(box["x"] + scale * x + 3, box["y"] + scale * y + 3)
    assert page.locator("#tip").inner_text() == "train, 00-train\nepoch: 2\nloss: 0.5"


def test_tables_sort_by_mouse_and_by_keys_and_back(opened: Any, report: Path) -> None:
    page = opened(report)
    table = page.locator("table[aria-label='All runs']")
    head = table.locator("th", has_text="MACs left")

    def column() -> list[float]:
        return [float(text.split()[0]) for text in table.locator("td:nth-child(7)").all_inner_texts()]

    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column() == sorted(column())
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column() == sorted(column(), reverse=True)


def test_colours_follow_the_system_and_the_button(opened: Any, report: Path) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        page = opened(report, color_scheme=scheme)
        grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.locator("#theme").focus()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") in ("solid", "auto", "none")
        page.keyboard.press("Enter")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != grounds[scheme]
    assert grounds["light"] != grounds["dark"]


def test_the_legend_hides_a_method_in_every_chart(opened: Any, report: Path) -> None:
    page = opened(report)
    button = page.locator(".legend button", has_text="l2").first

    def shown() -> list[bool]:
        drawn = "groups => groups.map(group => getComputedStyle(group).display !== 'none')"
        found: list[bool] = page.locator("g.series[data-series='l2']").evaluate_all(drawn)
        return found

    assert len(shown()) >= 4
    assert all(shown())
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert not any(shown())
    button.click()
    assert all(shown())


def test_a_phone_scrolls_tables_and_never_the_page(opened: Any, report: Path) -> None:
    page = opened(report, viewport={"width": 390, "height": 800}, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_links_to_runs_open_them(opened: Any, report: Path) -> None:
    page = opened(report)
    page.locator("table[aria-label='All runs'] a").nth(2).click()
    assert page.locator("#run-3").get_attribute("open") is not None


def test_modules_of_networks_open_by_keys_and_axes_tell_their_members(opened: Any, tmp_path: Path) -> None:
    file = tmp_path / "net.html"
    file.write_text(network_page(outline()), encoding="utf-8")
    page = opened(file)
    layers = page.locator(".network .layer:visible")
    before = layers.count()
    page.locator(".network summary").first.focus()
    page.keyboard.press("Enter")
    assert layers.count() != before
    page.locator(".network circle.stop:visible").first.hover(force=True)
    assert "produces: conv1.weight[0]" in page.locator("#tip").inner_text()


def test_a_hundred_runs_are_small_and_open_at_once(opened: Any, tmp_path: Path) -> None:
    folder = study(
        tmp_path / "study", {f"method{number}-{number}": 0.1 + 0.01 * number for number in range(34)}, seeds=3
    )
    file = write_report([folder], tmp_path / "report.html", held=lambda _: False)
    assert file.stat().st_size < 10e6
    page = opened(file)
    assert page.locator("details.run").count() == 102
    # Work of the page itself, whatever else the machine does.
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.reload()
    spent = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    assert 0 < spent["TaskDuration"] < 2
