"""One model on every rank: BatchNorm over all of them, and statistics that end up equal."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from secateurs import _distributed

__all__ = ["agree_on_buffers", "replicated"]

# Subclasses do more than normalise, and a SyncBatchNorm in their place would leave that out.
_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@contextmanager
def replicated(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Inside, the model begins with rank 0's values and may be wrapped to exchange gradients."""
    if _distributed.world() == 1:
        yield
        return
    _distributed.broadcast_tensors([*model.parameters(), *model.buffers()])
    try:
        with _synchronised(model, device):
            yield
    finally:
        # What exchanges gradients hangs on the parameters until it is gone, and it holds itself.
        gc.collect()


@contextmanager
def _synchronised(model: nn.Module, device: torch.device) -> Iterator[None]:
    """On GPUs, BatchNorm layers normalise over the images of all ranks inside; the same layers are back afterwards.

    PyTorch has no such layer on the CPU: there each rank normalises over its own images.
    """
    if device.type != "cuda":
        yield
        return
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if type(child) in _PLAIN and not child._forward_hooks and not child._forward_pre_hooks
    ]
    replaced: dict[nn.Module, nn.Module] = {}
    for parent, name, child in places:
        if child not in replaced:
            replaced[child] = _sync_layer(child)
        setattr(parent, name, replaced[child])
    try:
        yield
    finally:
        for parent, name, child in places:
            child.train(replaced[child].training)
            setattr(parent, name, child)


def agree_on_buffers(model: nn.Module, averaged: Mapping[str, Tensor]) -> None:
    """Make all buffers equal on every rank: running statistics become their mean, the others those of rank 0.

    Args:
        model: whose layers have normalised over each rank's own images.
        averaged: the moving average of the model's tensors by name, where there is one.
    """
    if _distributed.world() == 1:
        return
    statistics = {
        f"{path}.{name}".lstrip("."): buffer
        for path, module in model.named_modules()
        if isinstance(module, _NormBase)
        for name, buffer in module.named_buffers(recurse=False)
        if buffer.is_floating_point()
    }
    others = {name: buffer for name, buffer in model.named_buffers() if name not in statistics}
    _distributed.average([*statistics.values(), *(averaged[name] for name in statistics if name in averaged)])
    _distributed.broadcast_tensors([*others.values(), *(averaged[name] for name in others if name in averaged)])


def _sync_layer(layer: nn.Module) -> nn.Module:
    # It shares parameters and statistics with the layer, so nothing needs to be copied back.
    made: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(layer)
    return made.train(layer.training)
