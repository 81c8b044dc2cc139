"""Library models with random weights, each traced once."""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from benchmarks.libraries import MODELS, Call
from secateurs.graph import Graph, trace
from secateurs.surgery import fill_random

__all__ = ["Loaded", "load"]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model, the call that it was traced with, and the trace."""

    model: nn.Module
    call: Call
    graph: Graph


@lru_cache(maxsize=8)
def load(name: str) -> Loaded:
    """By its name in the benchmark's list; skips the test where the library is not installed."""
    entry = MODELS[name]
    if find_spec(entry.library) is None:
        pytest.skip(f"{entry.library} is not installed")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        model = entry.build().eval()
    fill_random(model, seed=0)
    call = entry.call()
    return Loaded(model=model, call=call, graph=trace(model, *call))
