"""What arithmetic allows, and what eats the rest."""

from collections import defaultdict

import torch
from torch.profiler import ProfilerActivity, profile

import secateurs as sec
from benchmarks.loops._bare import Bare
from benchmarks.loops._setup import Setup

__all__ = ["kernel_shares", "limit", "matmul_rate"]

# The first that a kernel's or operator's name contains.
_KINDS = {
    "optimizer": ("fused_sgd", "FusedSgd", "multi_tensor", "fused_adam"),
    "BatchNorm": ("batch_norm", "bn_", "batchnorm", "native_batch"),
    "convolution": ("conv", "xmma", "cutlass", "gemm", "implicit", "wgrad", "dgrad", "mkldnn", "addmm", "nchwToNhwc"),
    "compiled element-wise and reductions": ("triton", "cpp_fused", "graph_"),
    "copies and casts": ("copy", "memcpy", "Memcpy", "_to_copy", "fill", "memset", "Memset"),
    "element-wise": ("elementwise", "relu", "threshold", "add", "mul", "clamp"),
}


def matmul_rate(setup: Setup) -> float:
    """Operations per second of a large square product: 2 n^3 over the best of several times."""
    device = setup.device
    size = 8192 if device.type == "cuda" else 2048
    kind = torch.bfloat16 if setup.precision == "bf16" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    best = float("inf")
    for _ in range(12):
        started = setup.clock()
        for _ in range(4):
            a @ b
        best = min(best, (setup.clock() - started) / 4)
    return 2 * size**3 / best


def limit(setup: Setup) -> tuple[float, float]:
    """(images per second that the matmul rate allows, the rate): 3 passes of 2 operations per multiply-add."""
    network = setup.network().to(memory_format=torch.contiguous_format)
    macs = sec.cost(network, args=(torch.zeros(1, 3, 32, 32, device=setup.device),)).macs
    rate = matmul_rate(setup)
    return rate / (macs * 2 * 3), rate


def kernel_shares(setup: Setup, steps: int = 10) -> list[tuple[str, float]]:
    """Share of a bare step's device time by kind of kernel, and what the device waits; largest first."""
    bare = Bare(setup)
    bare.images_per_second(5)
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if setup.device.type == "cuda" else [])
    with profile(activities=activities) as seen:
        bare.images_per_second(steps)
    wall = steps * setup.batch / bare.images_per_second(steps)
    spent: dict[str, float] = defaultdict(float)
    for event in seen.key_averages():
        on_gpu = setup.device.type == "cuda"
        if on_gpu and event.device_type != torch.autograd.DeviceType.CUDA:
            continue
        spent[_kind(event.key)] += (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e6
    spent["waiting for the host"] = max(wall - sum(spent.values()), 0.0)
    return sorted(((kind, seconds / wall) for kind, seconds in spent.items()), key=lambda pair: -pair[1])


def _kind(name: str) -> str:
    return next((kind for kind, parts in _KINDS.items() if any(part in name for part in parts)), "other")
