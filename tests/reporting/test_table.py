"""The tables, word for word."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from secateurs import SecateursError
from secateurs.reporting import RunRecord, read_run, result_lines, result_table
from tests.reporting._runs import state, write_run


def printed(run: RunRecord) -> str:
    """The run's table on a terminal of 80 columns."""
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(result_table(run))
    return console.export_text()


def lines(path: Path, content: dict[str, Any]) -> list[list[str]]:
    """The cells of every line of a run's table."""
    text = printed(read_run(write_run(path, content)))
    rows = [line.replace("┃", "│").strip("│").split("│") for line in text.splitlines()]
    return [[cell.strip() for cell in row] for row in rows if len(row) > 1]


def test_before_after_and_what_was_removed(tmp_path: Path) -> None:
    assert lines(tmp_path / "run", state()) == [
        ["", "before", "after", "removed"],
        ["test accuracy", "98.60 %", "98.32 %", "0.28 points"],
        ["parameters", "80,000", "40,000", "50.0 %"],
        ["MACs", "2,000,000", "1,000,000", "50.0 %"],
        ["bytes", "320,000", "160,000", "50.0 %"],
        ["latency, batch 1", "1.25 ms", "0.625 ms", "50.0 %"],
        ["middle 90 %", "0.625 to 2.5 ms", "0.312 to 1.25 ms", ""],
        ["latency, batch 64", "16 ms", "8 ms", "50.0 %"],
        ["middle 90 %", "8 to 32 ms", "4 to 16 ms", ""],
    ]


def test_rates_and_threads_stand_with_their_latency(tmp_path: Path) -> None:
    content = state()
    for side, rate in (("before", 12.345), ("after", 6.0)):
        content["summary"][side]["latency"][0] |= {"gops_per_s": rate, "threads": 1}
    found = lines(tmp_path / "run", content)
    assert found[5:9] == [
        ["latency, batch 1", "1.25 ms", "0.625 ms", "50.0 %"],
        ["middle 90 %", "0.625 to 2.5 ms", "0.312 to 1.25 ms", ""],
        ["GOps/s, 1 thread", "12.3", "6", ""],
        ["latency, batch 64", "16 ms", "8 ms", "50.0 %"],
    ]


def test_autoencoders_are_judged_in_nats(tmp_path: Path) -> None:
    content = state()
    for side, elbo in (("before", -240.0), ("after", -243.5)):
        figures = {"test_elbo": elbo, "test_reconstruction": -elbo - 20, "test_kld": 20.0}
        content["summary"][side] = figures | {"params": 10, "macs": 10, "bytes": 10}
    assert lines(tmp_path / "run", content)[1:4] == [
        ["test ELBO, nats per image", "-240.00", "-243.50", "3.50 nats"],
        ["reconstruction, nats", "220.00", "223.50", "-1.6 %"],
        ["divergence, nats", "20.00", "20.00", "0.0 %"],
    ]


def test_a_study_of_autoencoders_has_their_bound(tmp_path: Path) -> None:
    side = {
        "test_elbo": {"mean": -240.0, "spread": 1.25, "runs": 2},
        "params": {"mean": 10.0, "spread": 0.0, "runs": 2},
    }
    content = state() | {"summary": {"variants": {"none": {"before": {}, "after": side}}}}
    text = printed(read_run(write_run(tmp_path / "run", content)))
    assert "test ELBO, nats per image, mean ± standard deviation" in text
    assert "-240.00 ± 1.25" in text


def test_a_run_without_a_cut_shows_what_was_measured(tmp_path: Path) -> None:
    content = state()
    content["summary"] = {"before": None, "after": content["summary"]["after"], "asked": {}, "removed": {}}
    assert lines(tmp_path / "run", content)[:2] == [["", "measured"], ["test accuracy", "98.32 %"]]


def test_what_was_asked_proved_and_used_stands_below(tmp_path: Path) -> None:
    assert result_lines(read_run(write_run(tmp_path / "run", state()))) == [
        "asked to remove 49 % of macs, removed 50 %",
        "verified: the cut model equals the masked dense one, relative error 1.3e-16",
        "on A processor, 2 threads, torch 2.13.0",
    ]


def test_a_cut_without_a_proof_is_called_that(tmp_path: Path) -> None:
    content = state()
    content["summary"]["verified"] = None
    assert "not verified" in result_lines(read_run(write_run(tmp_path / "run", content)))


def test_variants_are_compared_in_one_line_each(tmp_path: Path) -> None:
    def figures(accuracy: float, factor: float, spread: float | None) -> dict[str, Any]:
        values = {"test_accuracy": accuracy, "params": 100 * factor, "macs": 200 * factor}
        return {name: {"mean": value, "spread": spread, "runs": 2} for name, value in values.items()}

    variants = {
        "magnitude": {"before": figures(0.98, 1, 0.005), "after": figures(0.97, 0.5, 0.0025)},
        "random": {"before": {}, "after": figures(0.9, 0.25, None)},
    }
    run = read_run(write_run(tmp_path / "run", {"name": "study", "summary": {"variants": variants}}))
    rows = [line.split() for line in printed(run).splitlines()]
    assert ["magnitude", "2", *["98.00", "±", "0.50", "97.00", "±", "0.25", "50.0", "%", "50.0", "%", "-"]] in rows
    assert ["random", "2", *["-", "90.00", "-", "-", "-"]] in rows


def test_a_run_without_results_is_refused(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", {**state(), "status": "running", "summary": {}}))
    with pytest.raises(SecateursError, match="wanted a run with results, got one that is running"):
        result_table(run)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecateursError, match=r"run\.json: wanted a run directory"):
        read_run(tmp_path)
