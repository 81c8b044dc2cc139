"""Compiled and captured models."""

from typing import cast

import torch
from torch import nn

from secateurs._errors import ConfigError
from secateurs.training._options import TrainOptions

__all__ = ["compiled"]


def compiled(model: nn.Module, options: TrainOptions, device: torch.device) -> nn.Module:
    """The model as the options want it run; the same parameters in any case.

    Graphs are torch.compile's "reduce-overhead": it captures forward and backward for each shape of batch, keeps
    random numbers and memory right, and leaves out what cannot be captured. Capturing a whole step by hand saves the
    few launches of loss and optimizer more, but fails on the first model that touches the host.

    Raises:
        ConfigError: CUDA graphs without CUDA.
    """
    if options.cuda_graphs and device.type != "cuda":
        raise ConfigError(
            "train.cuda_graphs",
            wanted="a CUDA device",
            got=f"device {str(device)!r}",
            cure="Set cuda_graphs: false, or train on a GPU.",
        )
    if not (options.compile or options.cuda_graphs):
        return model
    # Compiled code is kept per line of source, not per model: the ninth network of a study would run uncompiled.
    torch.compiler.reset()
    if not options.cuda_graphs:
        return cast(nn.Module, torch.compile(model))
    # dynamic=False: a last batch that is smaller gets a graph of its own, and the full ones keep theirs.
    return cast(nn.Module, torch.compile(model, mode="reduce-overhead", dynamic=False))
