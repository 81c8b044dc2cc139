"""Many runs: one recipe tried with many values, on this machine or on a Ray cluster."""

from secateurs.sweeps._config import Sweep, parse_sweep, sweep_schema
from secateurs.sweeps._figures import FIGURES
from secateurs.sweeps._find import find_sweep, ready_sweeps
from secateurs.sweeps._show import result_lines, result_table
from secateurs.sweeps._sweep import SweepOptions, run_sweep

__all__ = [
    "FIGURES",
    "Sweep",
    "SweepOptions",
    "find_sweep",
    "parse_sweep",
    "ready_sweeps",
    "result_lines",
    "result_table",
    "run_sweep",
    "sweep_schema",
]
