"""Models in wrappers (compiled, data-parallel), and models whose weights cannot be read."""

import sys
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from secateurs._errors import GraphError, WrapperWarning
from secateurs.graph.model._tensors import modules_of, registered_tensors

__all__ = ["readable", "unwrapped"]


def unwrapped(model: nn.Module) -> nn.Module:
    """The module in `torch.compile`, `DataParallel` and `DistributedDataParallel`, or the model itself."""
    while (name := _inner_name(model)) is not None:
        model = getattr(model, name)
    return model


def readable(model: Any, *, where: str = "trace", warn: bool = True) -> nn.Module:
    """The module to look at, without wrappers; with `warn`, says so where there were any.

    Raises:
        GraphError: not a module, or one whose weights cannot be read or cut.
    """
    if not isinstance(model, nn.Module):
        cure = "Pass the module itself, not its class or its name."
        raise GraphError(where, wanted="a torch.nn.Module", got=type(model).__name__, cure=cure)
    inner = unwrapped(model)
    if warn and inner is not model:
        text = f"{type(model).__name__}: the {type(inner).__name__} in it is traced and cut; wrap the result again."
        warnings.warn(text, WrapperWarning, stacklevel=3)
    _check_modules(inner)
    _check_tensors(registered_tensors(inner))
    return inner


def _inner_name(model: nn.Module) -> str | None:
    # Loading torch's compiler takes a second; a model that it compiled has loaded it.
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    if compiler is not None and isinstance(model, compiler.OptimizedModule):
        return "_orig_mod"
    return "module" if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)) else None


def _check_modules(model: nn.Module) -> None:
    for path, module in modules_of(model).items():
        where = path or type(module).__name__
        if isinstance(module, torch.jit.ScriptModule):
            cure = "Trace the module that it was made from."
            raise GraphError(where, wanted="a module in Python", got="a TorchScript module", cure=cure)
        if _is_sharded(module):
            cure = "Trace and cut the model first, then shard the result."
            raise GraphError(where, wanted="a module that holds all of its weights", got="a sharded one", cure=cure)
        if type(module).__module__.startswith(_QUANTISED):
            cure = "Cut the model first, then quantise the result."
            got = f"the quantised {type(module).__name__}"
            raise GraphError(where, wanted="a module with floating-point weights", got=got, cure=cure)


_QUANTISED = ("torch.ao.nn.quantized.", "torch.ao.nn.intrinsic.quantized.")


def _is_sharded(module: nn.Module) -> bool:
    fsdp = sys.modules.get("torch.distributed.fsdp")
    if fsdp is None:
        return False
    kinds = [getattr(fsdp, name, None) for name in ("FullyShardedDataParallel", "FSDPModule")]
    return any(kind is not None and isinstance(module, kind) for kind in kinds)


def _check_tensors(tensors: Mapping[str, Tensor]) -> None:
    for path, tensor in tensors.items():
        if is_lazy(tensor):
            cure = "Call the model once on the example first."
            raise GraphError(path, wanted="a tensor with a shape", got="a lazy parameter without one", cure=cure)
        if tensor.is_quantized or _is_foreign(tensor):
            cure = "Cut the model first, then quantise or shard the result."
            got = f"a quantised tensor ({type(tensor).__name__}, {tensor.dtype})"
            if not tensor.is_quantized:
                got = f"a {type(tensor).__name__}"
            raise GraphError(path, wanted="a plain tensor", got=got, cure=cure)


def _is_foreign(tensor: Tensor) -> bool:
    """A class of tensors with operators of its own: quantised, sharded or packed contents."""
    own = type(tensor).__torch_dispatch__
    return type(tensor) not in (Tensor, nn.Parameter) and own is not Tensor.__torch_dispatch__
