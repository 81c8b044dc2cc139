"""Damaged, odd and hostile input ends in success or in a `SecateursError`, within bounds; see docs/safety.md."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz._target import fuzz
from tests.fuzz.targets import TARGETS

_SECONDS = 3000


@pytest.mark.parametrize("name", TARGETS)
def test_no_case_is_a_defect(name: str) -> None:
    outcomes = fuzz(TARGETS[name], TARGETS[name].fast)
    assert outcomes["taken"] > 0, outcomes
    assert outcomes.total() >= TARGETS[name].fast


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_no_case_of_ten_thousand_is_a_defect(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # In a process of its own: a decoder that writes past its memory would take the whole suite down.
    count = TARGETS[name].slow
    command = [sys.executable, "-m", "tests.fuzz", name, str(count), str(tmp_path / "case")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    last = (tmp_path / "case").read_text(encoding="utf-8")[:2000]
    assert done.returncode == 0, f"{done.stderr[-3000:]}\nthe last case: {last}"
    with capsys.disabled():
        print(f"\n{done.stdout.strip()}")
    assert int(done.stdout.split(" cases:")[0].rpartition(" ")[2]) >= count
