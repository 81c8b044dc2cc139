"""The examples run as they stand, in an empty folder."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NEEDED = {
    "plain_loop": (),
    "lightning_trainer": ("pytorch_lightning",),
    "hugging_face_trainer": ("transformers", "accelerate"),
}


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(NEEDED)


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDED)
def test_it_runs_and_cuts(name: str, tmp_path: Path) -> None:
    missing = [package for package in NEEDED[name] if find_spec(package) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    removed = re.search(r"removed ([0-9.]+)%", done.stdout)
    assert removed is not None
    assert 9 < float(removed[1]) < 70
    assert any(tmp_path.glob("small*"))
