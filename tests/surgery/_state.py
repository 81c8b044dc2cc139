"""Everything about a model that a refused plan or a trace must leave alone."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

__all__ = ["state_of", "unchanged"]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_state_dict_hooks")


def state_of(model: nn.Module, optimizer: Optimizer | None = None) -> dict[str, Any]:
    """Identities and copies: tensors with gradients, attributes, flags, hooks, random state, optimizer state."""
    state: dict[str, Any] = {
        "random": torch.get_rng_state(),
        "fastpath": torch.backends.mha.get_fastpath_enabled(),
        "grad mode": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
    }
    for path, tensor in (*model.named_parameters(), *model.named_buffers()):
        grad = None if tensor.grad is None else tensor.grad.clone()
        state[f"tensor {path}"] = (id(tensor), tensor.detach().clone(), tensor.requires_grad, grad)
    for path, module in model.named_modules():
        state[f"module {path}"] = (id(module), type(module), module.training, sorted(vars(module)))
        state[f"hooks {path}"] = [list(getattr(module, name).items()) for name in _HOOKS]
        plain = {name: value for name, value in vars(module).items() if not name.startswith("_")}
        state[f"attributes {path}"] = {name: (type(value), copy.deepcopy(value)) for name, value in plain.items()}
    if optimizer is not None:
        state["optimizer"] = copy.deepcopy(optimizer.state_dict())
        state["optimizer holds"] = [id(p) for group in optimizer.param_groups for p in group["params"]]
    return state


@contextmanager
def unchanged(model: nn.Module, optimizer: Optimizer | None = None) -> Iterator[None]:
    """Asserts that nothing about a model changes inside, bit by bit."""
    before = state_of(model, optimizer)
    yield
    after = state_of(model, optimizer)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert _equal(value, after[name]), name


def _equal(one: Any, two: Any) -> bool:
    if type(one) is not type(two):
        return False
    if isinstance(one, Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return list(one) == list(two) and all(_equal(one[key], two[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(_equal(a, b) for a, b in zip(one, two, strict=True))
    return bool(one == two)
