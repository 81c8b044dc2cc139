"""All tensors of a model: parameters, buffers, and those in plain attributes of its modules."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor, nn

__all__ = ["convert", "follow_ties", "module_at", "modules_of", "plain_tensors", "registered_tensors", "tensors_of"]


_NO_TENSORS = frozenset((bool, int, float, str, dict, OrderedDict, tuple, list, set, type(None)))


def modules_of(model: nn.Module) -> dict[str, nn.Module]:
    """All modules by path, each once, under the first of its paths: as `named_modules` gives them, in linear time."""
    found: dict[str, nn.Module] = {}
    seen: set[int] = set()
    pending: list[tuple[str, nn.Module]] = [("", model)]
    while pending:
        path, module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        found[path] = module
        if module._modules:
            start = f"{path}." if path else ""
            children = [(start + name, child) for name, child in module._modules.items() if child is not None]
            pending += reversed(children)
    return found


def registered_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by path, tied ones once, under the first of their paths."""
    return _registered(modules_of(model))


def plain_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Tensors in plain attributes by path, such as constants that nobody registered.

    What belongs to a backward pass is none of the model's own.
    """
    return _plain(modules_of(model))


def tensors_of(model: nn.Module, modules: Mapping[str, nn.Module] | None = None) -> dict[str, Tensor]:
    """All of them by path, tied ones once, under the first of their paths; `modules` where these are known."""
    modules = modules_of(model) if modules is None else modules
    found = _registered(modules)
    known = {id(tensor) for tensor in found.values()}
    for path, tensor in _plain(modules).items():
        if id(tensor) not in known:
            known.add(id(tensor))
            found[path] = tensor
    return found


def _registered(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for registry in ("_parameters", "_buffers"):
        seen = set()
        for path, module in modules.items():
            for name, tensor in getattr(module, registry).items():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    found[f"{path}.{name}" if path else name] = tensor
    return found


def _plain(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    found = {}
    for path, module in modules.items():
        for name, value in vars(module).items():
            if type(value) in _NO_TENSORS:
                continue
            if isinstance(value, Tensor) and not isinstance(value, nn.Parameter) and not value.requires_grad:
                found[f"{path}.{name}" if path else name] = value
    return found


def module_at(model: nn.Module, path: str) -> nn.Module:
    """`get_submodule`, without its checks of every step where there is nothing to complain about."""
    module: nn.Module | None = model
    for name in path.split(".") if path else ():
        module = None if module is None else module._modules.get(name)
    return model.get_submodule(path) if module is None else module


def follow_ties(modules: Iterable[nn.Module], made: Mapping[int, Tensor]) -> None:
    """Plain attributes that hold tensors for which others were put in their place hold these too."""
    for module in modules:
        for name, value in vars(module).items():
            if type(value) not in _NO_TENSORS and isinstance(value, Tensor) and id(value) in made:
                vars(module)[name] = made[id(value)]


def convert(model: nn.Module, change: Callable[[Tensor], Tensor]) -> nn.Module:
    """The model itself, every tensor changed; tied ones stay tied."""
    before = registered_tensors(model)
    plain = {id(tensor): tensor for tensor in plain_tensors(model).values()}
    model._apply(change)
    after = registered_tensors(model)
    made = {id(tensor): after[path] for path, tensor in before.items()}
    made |= {key: change(tensor) for key, tensor in plain.items() if key not in made}
    follow_ties(model.modules(), {key: made[key] for key in plain})
    return model
