"""How long a model larger than memory takes to analyse and plan: a Llama of 7 billion parameters, weights nowhere.

    python -m benchmarks.large_model [--tokens 128] [--json FILE]

Each variant runs in a process of its own on one thread. The model is made on the meta device, so that its weights
take no memory; then it is traced, scored at random, planned for two budgets and cut (shapes only). Seconds are of
one run; peak memory is of the whole process, and before the trace.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import secateurs as sec
from benchmarks.libraries._schemas import import_torchvision

GIB = 2**20  # ru_maxrss counts in KiB
VARIANTS: dict[str, dict[str, Any]] = {
    "7B": {},
    "7B, cache returned": {"use_cache": True},
    "7B, 8 of 32 key-value heads": {"num_key_value_heads": 8},
    "7B, 1 key-value head": {"num_key_value_heads": 1},
    "70B (80 layers, 8 key-value heads)": {
        "num_hidden_layers": 80,
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
    },
}


def timed(seconds: dict[str, float], name: str, job: Callable[[], Any]) -> Any:
    """The result of a job; its time goes down under a name."""
    start = time.perf_counter()
    result = job()
    seconds[name] = time.perf_counter() - start
    return result


def peak_gib() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB


def measure(variant: str, tokens: int) -> dict[str, Any]:
    """Figures of one variant, in this process."""
    import_torchvision()
    from transformers import LlamaConfig, LlamaForCausalLM

    seconds: dict[str, float] = {}
    config = LlamaConfig(**{"use_cache": False, **VARIANTS[variant]})
    with torch.device("meta"):
        model = LlamaForCausalLM(config).to(torch.bfloat16).eval()
    before = peak_gib()
    batch = {"input_ids": torch.zeros(1, tokens, dtype=torch.int64), "attention_mask": torch.ones(1, tokens).long()}
    graph = timed(seconds, "trace", lambda: sec.trace(model, batch))
    traced = peak_gib()
    scores = timed(seconds, "score", lambda: sec.criteria.Random()(graph))
    plan = timed(seconds, "params -30 %", lambda: sec.select(graph, scores, remove={"params": 0.3}))
    half = timed(seconds, "macs -50 %", lambda: sec.select(graph, scores, remove={"macs": 0.5}))
    cut = timed(seconds, "cut", lambda: sec.apply(model, plan, verify=False)).model
    members = {member.path for axis in graph.axes for member in axis.members}
    total = sum(parameter.numel() for parameter in model.parameters())
    prunable = sum(p.numel() for name, p in model.named_parameters() if name in members)
    return {
        "params": total,
        "operators": graph.operators,
        "kinds": {kind: sum(a.kind == kind for a in graph.axes) for kind in sorted({a.kind for a in graph.axes})},
        "units": sum(axis.size for axis in graph.axes),
        "in_axes": prunable / total,
        "kept_params": sum(parameter.numel() for parameter in cut.parameters()) / total,
        "kept_macs": half.cost.macs / half.before.macs,
        "seconds": seconds,
        "peak_gib": {"before": before, "traced": traced, "end": peak_gib()},
    }


def in_child(variant: str, tokens: int) -> dict[str, Any]:
    """The same, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.large_model", "--child", variant, "--tokens", str(tokens)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.child:
        warnings.simplefilter("ignore")
        print(json.dumps(measure(options.child, options.tokens)))
        return
    print(f"{platform.processor() or platform.machine()}, 1 thread, torch {torch.__version__}, n=1")
    rows = {}
    for variant in VARIANTS:
        rows[variant] = found = in_child(variant, options.tokens)
        seconds = "  ".join(f"{name} {value:.2f} s" for name, value in found["seconds"].items())
        peak = found["peak_gib"]
        print(f"{variant}: {found['params'] / 1e9:.2f} G parameters, {found['units']:,} units {found['kinds']}")
        print(f"    {seconds}  peak {peak['end']:.2f} GiB ({peak['before']:.2f} before)")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
