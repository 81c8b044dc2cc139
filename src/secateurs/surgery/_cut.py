"""The cut itself: tensors sliced, attributes set. Checks first, then a straight line that only acts."""

import copy
import math
from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs.graph import Cut, Edit, Plan, Renumber, free_attention, module_at, tensors_of
from secateurs.surgery._scatter import insert_scatter, scatters_already

__all__ = ["check_fits", "check_values", "copy_model", "cut_model", "cut_tensor", "cuts_by_path", "tensors_of"]

_ROOT = "the model"
_CURE = "Apply a plan to the model it was made for, before any other cut."


def check_fits(model: nn.Module, plan: Plan) -> None:
    """Refuse a plan whose model differs from this one in any shape or attribute that it touches.

    Raises:
        PlanError: with the first difference; nothing was changed.
    """
    tensors = tensors_of(model)
    for path, shape in plan.shapes.items():
        tensor = tensors.get(path)
        if tensor is None or tensor.shape != tuple(shape):
            got = "no such tensor" if tensor is None else str(tuple(tensor.shape))
            raise PlanError(path, wanted=f"shape {tuple(shape)}", got=got, cure=_CURE)
    for path in plan.replaced:
        module = _module(model, path)
        if type(module) is not nn.MultiheadAttention:
            raise PlanError(path or _ROOT, wanted="nn.MultiheadAttention", got=type(module).__name__, cure=_CURE)
    for edit in plan.edits:
        if not _is_inner(edit, plan):
            _check_edit(model, edit)
    for scatter in plan.scatters:
        if scatters_already(_module(model, scatter.path)):
            wanted, got = "a module whose output is not scattered yet", "one that is"
            raise PlanError(scatter.path or _ROOT, wanted=wanted, got=got, cure=_CURE)


def check_values(model: nn.Module, plan: Plan, skip: Container[str] = ()) -> None:
    """Refuse a model whose index buffers, once cut, would still name positions that go; some may be skipped.

    Raises:
        PlanError: with the buffer; nothing was changed.
    """
    if not plan.renumbered:
        return
    tensors, cuts = tensors_of(model), cuts_by_path(plan)
    for entry in plan.renumbered:
        if entry.path in skip:
            continue
        values = tensors[entry.path]
        if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
            raise PlanError(entry.path, wanted="integers", got=str(values.dtype), cure=_CURE)
        if values.is_meta:
            continue
        kept = cut_tensor(values, cuts.get(entry.path, ()))
        if torch.isin(kept.cpu(), torch.tensor(entry.removed)).any():
            got = "values that name removed positions"
            raise PlanError(entry.path, wanted="the values that the plan was made for", got=got, cure=_CURE)


def _is_inner(edit: Edit, plan: Plan) -> bool:
    """An attribute that only the replacement of an attention module has."""
    return edit.path in plan.replaced


def _module(model: nn.Module, path: str) -> nn.Module:
    try:
        return module_at(model, path)
    except AttributeError as error:
        raise PlanError(path or _ROOT, wanted="a module of the model", got="no such module", cure=_CURE) from error


def _check_edit(model: nn.Module, edit: Edit) -> None:
    holder, name = _holder(_module(model, edit.path), edit.name)
    value = getattr(holder, name, None)
    if edit.index is not None:
        value = value[edit.index] if isinstance(value, (tuple, list)) and edit.index < len(value) else None
    if isinstance(value, bool) or value != edit.before:
        raise PlanError(f"{edit.path}.{edit.name}", wanted=str(edit.before), got=repr(value), cure=_CURE)


def copy_model(model: nn.Module, change: Callable[[Tensor], Tensor] | None = None) -> nn.Module:
    """A deep copy; with `change`, of its tensors as that gives them, which costs no copy in between.

    Raises:
        PlanError: the model holds something that cannot be copied.
    """
    made = _detached(model)
    if change is not None:
        made |= {id(tensor): _changed(tensor, change) for tensor in tensors_of(model).values()}
    try:
        return copy.deepcopy(model, made)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        cure = "Cut it with inplace=True, verify=False, or take out what cannot be copied."
        raise PlanError(type(model).__name__, wanted="a model that can be copied", got=reason, cure=cure) from error


def _changed(tensor: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    made = change(tensor.detach())
    return nn.Parameter(made, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made


def _detached(model: nn.Module) -> dict[int, Any]:
    """Copies of results that modules keep as plain attributes and that autograd made (the weight of an old hook)."""
    values = [value for module in model.modules() for value in vars(module).values()]
    return {id(value): value.detach().clone() for value in values if isinstance(value, Tensor) and not value.is_leaf}


def cuts_by_path(plan: Plan) -> Mapping[str, Sequence[Cut]]:
    """The cuts of every tensor."""
    found: dict[str, list[Cut]] = defaultdict(list)
    for cut in plan.cuts:
        found[cut.path].append(cut)
    return found


def cut_tensor(tensor: Tensor, cuts: Sequence[Cut]) -> Tensor:
    """A new tensor without the removed positions; dims whose size is not the planned one are left alone."""
    layout = _layout(tensor)
    fitting = [cut for cut in cuts if tensor.shape[cut.dim] == cut.size]
    kept = [(cut.dim, _kept(cut.size, cut.removed).to(tensor.device)) for cut in fitting]
    large = tensor.numel() > _LARGE and tensor.device.type == "cpu"
    if large and len(kept) == 2 and kept[0][0] == 0:
        return _cut_in_blocks(tensor, kept[0][1], *kept[1]).contiguous(memory_format=layout)
    for dim, places in kept:
        tensor = tensor.index_select(dim, places)
    return tensor.contiguous(memory_format=layout)


_LARGE = 2**22
"""Elements from which what lies between two cuts of a tensor is too much for the processor's caches."""


def _cut_in_blocks(tensor: Tensor, rows: Tensor, dim: int, places: Tensor) -> Tensor:
    """A cut of dim 0 and of another, a few rows at a time: half the traffic to memory of one after the other."""
    shape = [len(rows), *tensor.shape[1:]]
    block = max(1, _LARGE // 16 * shape[0] // math.prod(shape))
    shape[dim] = len(places)
    found = tensor.new_empty(shape)
    for start in range(0, len(rows), block):
        part = tensor.index_select(0, rows[start : start + block])
        torch.index_select(part, dim, places, out=found[start : start + block])
    return found


@lru_cache(maxsize=256)
def _kept(size: int, removed: tuple[int, ...]) -> Tensor:
    """The positions that stay; the same for the many tensors that an axis shows up in."""
    stays = np.ones(size, dtype=bool)
    stays[list(removed)] = False
    return torch.from_numpy(np.flatnonzero(stays))


def _layout(tensor: Tensor) -> torch.memory_format:
    """Channels-last weights stay so: convolutions are slow on mixed layouts."""
    if tensor.is_contiguous():
        return torch.contiguous_format
    for dims, layout in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if tensor.dim() == dims and tensor.is_contiguous(memory_format=layout):
            return layout
    return torch.contiguous_format


@torch.no_grad()
def cut_model(model: nn.Module, plan: Plan) -> None:
    """Carry out a plan that fits.

    Parameters stay the same objects with smaller data, so that optimizers, hooks and tied uses keep pointing at
    them; gradients are cut along.
    """
    free_attention(model, plan.replaced)
    tensors = tensors_of(model)
    for path, cuts in cuts_by_path(plan).items():
        tensor, grad = tensors[path], tensors[path].grad
        tensor.grad = None
        smaller = cut_tensor(tensor.data, cuts)
        if tensor.requires_grad:
            _forget_sizes(tensor)
        tensor.data = smaller
        if grad is not None:
            tensor.grad = cut_tensor(grad, cuts)
    for scatter in plan.scatters:
        insert_scatter(model, scatter)
    for entry in plan.renumbered:
        _renumber(tensors[entry.path], entry)
    for edit in plan.edits:
        _set(module_at(model, edit.path), edit)


def _forget_sizes(tensor: Tensor) -> None:
    """Let autograd note the sizes of a parameter anew.

    While any result computed with it is alive, such as the loss of the step before, autograd keeps what it noted, and
    takes gradients of no other shape. It begins anew when the data's type changes, and not when its shape does.
    """
    other = torch.float32 if tensor.dtype == torch.float16 else torch.float16
    tensor.data = torch.empty(0, dtype=other, device=tensor.device)


def _renumber(values: Tensor, entry: Renumber) -> None:
    """Take from every value the number of removed positions below it."""
    if not values.is_meta:
        values -= torch.bucketize(values, torch.tensor(sorted(entry.removed), device=values.device)).to(values.dtype)


def _set(module: nn.Module, edit: Edit) -> None:
    holder, name = _holder(module, edit.name)
    value: Any = edit.after
    if edit.index is not None:
        values = list(getattr(holder, name))
        values[edit.index] = edit.after
        value = values if isinstance(getattr(holder, name), list) else tuple(values)
    if isinstance(holder, nn.Module):
        setattr(holder, name, value)
    else:
        vars(holder)[name] = value  # settings may be frozen


def _holder(module: nn.Module, name: str) -> tuple[Any, str]:
    """The object that holds an attribute, and its last name: settings in a plain object have dotted names."""
    *path, last = name.split(".")
    holder: Any = module
    for part in path:
        holder = getattr(holder, part, None)
    return holder, last
