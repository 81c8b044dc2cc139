"""Edits of the attributes in which torch's layers repeat their sizes."""

from collections.abc import Iterator, Mapping, Sequence, Set
from math import prod

from torch import nn

from secateurs.graph._plan import Cut, Edit
from secateurs.graph.model._modules import NAMES, declared_sizes
from secateurs.graph.model._tensors import module_at

__all__ = ["declared_edits"]

Shapes = Mapping[str, Sequence[int]]


def declared_edits(
    model: nn.Module, shapes: Shapes, cuts: Sequence[Cut], edits: Sequence[Edit], asked: Set[tuple[str, str]]
) -> Iterator[Edit]:
    """Edits of the attributes of all modules with a cut tensor.

    Args:
        shapes: of all tensors, before the cut.
        cuts: what goes.
        edits: the other edits of the plan.
        asked: path and name of the attributes that the code takes sizes from; they are left to the other edits.
    """
    after = dict(shapes)
    for cut in cuts:
        shape = list(after[cut.path])
        shape[cut.dim] -= len(cut.removed)
        after[cut.path] = shape
    groups = {edit.path: edit.after for edit in edits if edit.name == "groups"}
    for owner in sorted({_owner(path) for path in {cut.path for cut in cuts}}):
        module = module_at(model, owner)
        own = _own_shapes(module, owner, after)
        sizes = declared_sizes(module, own, groups.get(owner, getattr(module, "groups", 1))) if own else {}
        for name, size in sizes.items():
            before = getattr(module, name)
            if before != size and (owner, name) not in asked:
                yield Edit(path=owner, name=name, index=None, before=before, after=size)


def _owner(path: str) -> str:
    """Path of the module that a tensor belongs to, also where it is computed from others (a parametrisation)."""
    outer, found, _ = f".{path}".partition(".parametrizations.")
    return outer.lstrip(".") if found else path.rpartition(".")[0]


def _own_shapes(module: nn.Module, owner: str, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Shapes of a module's direct tensors by name; a computed one has that of the largest that it comes from."""
    start = f"{owner}." if owner else ""
    paths = {name: start + name for name in NAMES}
    found = {name: tuple(shapes[path]) for name, path in paths.items() if path in shapes}
    for name in getattr(module, "parametrizations", ()) if "parametrizations" in module._modules else ():
        prefix = f"{start}parametrizations.{name}.original"
        found[name] = max((tuple(shape) for path, shape in shapes.items() if path.startswith(prefix)), key=prod)
    return found
