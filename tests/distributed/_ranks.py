"""Two processes of one test: started, joined over gloo, and what they found."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Ended", "run_ranks"]

_ROOT = Path(__file__).parents[2]

# A rank calls one function of a module under tests/distributed and leaves what it returns as JSON.
_MAIN = """
import importlib, json, pathlib, sys
from secateurs._process_group import joined
module, function, out, timeout_s, arguments = sys.argv[1:]
with joined(cuda=False, timeout_s=float(timeout_s)):
    found = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    pathlib.Path(out).write_text(json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a rank ended: `value` is what its function returned, None where it did not get there."""

    code: int
    value: Any
    errors: str


def run_ranks(
    module: str, function: str, *, world: int = 2, timeout_s: float = 60, **arguments: Any
) -> tuple[Ended, ...]:
    """Call `function` of `module` with `arguments` on every rank."""
    with tempfile.TemporaryDirectory() as folder:
        outs = [Path(folder) / f"{rank}.json" for rank in range(world)]
        call = [module, function]
        rest = [str(timeout_s), json.dumps(arguments)]
        port = _free_port()
        running = [
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _MAIN, *call, str(out), *rest],
                env=os.environ | _place(rank, world, port),
                cwd=_ROOT,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank, out in enumerate(outs)
        ]
        try:
            errors = [process.communicate(timeout=timeout_s + 240)[1] for process in running]
        finally:
            for process in running:
                process.kill()
        values = [json.loads(out.read_text()) if out.exists() else None for out in outs]
    parts = zip(running, values, errors, strict=True)
    return tuple(Ended(code=process.returncode, value=value, errors=text) for process, value, text in parts)


def _place(rank: int, world: int, port: int) -> dict[str, str]:
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world, "MASTER_PORT": port}
    return {name: str(value) for name, value in numbers.items()} | {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
