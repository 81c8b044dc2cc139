"""The child process of the benchmark: one model, one tool, one JSON file.

python -m benchmarks._child NAME ours|theirs|both FILE
"""

import logging
import sys
import traceback
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks._both import both
from benchmarks._ours import ours
from benchmarks._record import Record
from benchmarks._theirs import theirs
from benchmarks.libraries import MODELS, USUAL
from secateurs.surgery import fill_random

_TOOLS = {"ours": ours, "theirs": theirs, "both": both}


class _Small(nn.Module):
    """What every engine has done once before the clock starts: convolution, norm, attention-like products, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1)
        self.mixed, self.last = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = (x + self.second(x)).mean((2, 3))
        out: Tensor = self.last(torch.relu(self.mixed(x)))
        return out


def main(name: str, tool: str, path: str) -> None:
    """Fill weights and buffers at random, warm up on another model, then measure."""
    record = Record(Path(path), name=name, tool=tool)
    entry = (USUAL if tool == "both" else MODELS)[name]
    try:
        record.stage("build")
        torch.manual_seed(0)
        model = entry.build().eval()
        fill_random(model, seed=0)
        call = entry.call()
        with torch.no_grad():
            model(*call[0], **call[1])
        record.stage("warm-up")
        small = _Small().eval()
        _TOOLS[tool](small, ((torch.randn(1, 3, 8, 8),), {}), Record(Path(path).with_suffix(".warm")))
        record.stage("start")
        _TOOLS[tool](model, call, record)
    except Exception as error:  # noqa: BLE001 - the benchmark's finding is what fails
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = "/".join(Path(last.filename).parts[-3:])
        record.note(failed=f"{type(error).__name__}: {error}"[:1500], raised=f"{place}:{last.lineno}")
    finally:
        Path(path).with_suffix(".warm").unlink(missing_ok=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    main(*sys.argv[1:])
