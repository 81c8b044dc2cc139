"""What the sizes of a network are, by the names of the tensors and attributes that have them."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from secateurs.graph import module_at
from secateurs.surgery import plans_of

__all__ = ["Key", "sizes_of", "wanted_sizes"]

Key = tuple[str, int | str]
"""A tensor of the state dict and one of its dims, or a module and an integer attribute of it."""


def sizes_of(model: nn.Module) -> dict[Key, int]:
    """Sizes of all tensors that are saved, and integer attributes of all modules."""
    found: dict[Key, int] = {}
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, Tensor):
            found |= {(name, dim): size for dim, size in enumerate(tensor.shape)}
    for path, module in model.named_modules():
        found |= {(path, name): value for name, value in vars(module).items() if _is_size(name, value)}
    return found


def wanted_sizes(model: nn.Module) -> dict[Key, int]:
    """What a network must have to be the cut one: the sizes of its tensors, and the attributes that cuts have set.

    Attributes that no cut has set are left out: code that never reads one may keep an old value there.
    """
    found = {key: size for key, size in sizes_of(model).items() if isinstance(key[1], int)}
    edits: Mapping[Key, int] = {
        (edit.path, edit.name): edit.after for plan in plans_of(model) for edit in plan.edits if edit.index is None
    }
    for (path, name), value in edits.items():
        if isinstance(name, str) and "." not in name and vars(module_at(model, path)).get(name) == value:
            found[path, name] = value
    return found


def _is_size(name: str, value: Any) -> bool:
    return type(value) is int and not name.startswith("_")
