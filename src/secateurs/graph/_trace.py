"""Run a model once, on nothing, and learn what may be cut."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves, tree_map_only

from secateurs._errors import GraphError, SecateursError
from secateurs.graph._graph import Graph
from secateurs.graph._labels import Algebra, Label
from secateurs.graph._masks import MaskAlgebra, mask_of
from secateurs.graph._mode import LabelMode
from secateurs.graph._multihead import FreeMultiheadAttention
from secateurs.graph._provenance import Attribute, tag_attributes
from secateurs.graph._record import Info, Record, SizeUse
from secateurs.graph._sizes import SizeMode
from secateurs.graph._untouched import untouched

__all__ = ["free_attention", "masked_run", "trace"]


def trace(
    model: nn.Module,
    args: tuple[Any, ...] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    free_outputs: bool = False,
) -> Graph:
    """Find out what may be cut in a model, and what may not and why.

    The model runs once on fake tensors, without computing anything, in evaluation mode; it is left exactly as it
    was. Where its code depends on values or does not run on fake tensors, it runs once for real
    instead.

    Args:
        model: any module.
        args, kwargs: an example call; a single tensor counts as one argument.
        free_outputs: let the widths of the outputs shrink too (feature extractors).

    Raises:
        GraphError: the model fails on these arguments.
    """
    args = (args,) if isinstance(args, Tensor) else tuple(args)
    kwargs = dict(kwargs or {})
    if not isinstance(model, nn.Module):
        cure = "Pass the module itself, not its class or its name."
        raise GraphError("trace", wanted="a torch.nn.Module", got=type(model).__name__, cure=cure)
    _check_readable(model)
    try:
        algebra, record, weights = _run(model, args, kwargs, fake=True, free_outputs=free_outputs)
    except (DataDependentOutputException, DynamicOutputShapeException, GraphError):
        # Also what failed on fake tensors: some code (`.numpy()`, other libraries) runs on real ones only.
        algebra, record, weights = _run(model, args, kwargs, fake=False, free_outputs=free_outputs)
    return Graph(model, args, kwargs, algebra=algebra, record=record, weights=weights)


def _check_readable(model: nn.Module) -> None:
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            where, cure = path or type(module).__name__, "Trace the module that it was made from."
            raise GraphError(where, wanted="a module in Python", got="a TorchScript module", cure=cure)
    for path, tensor in _tensors(model).items():
        if is_lazy(tensor):
            cure = "Call the model once on the example first."
            raise GraphError(path, wanted="a tensor with a shape", got="a lazy parameter without one", cure=cure)


def _run(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, fake: bool, free_outputs: bool
) -> tuple[Algebra, Record, dict[str, Info]]:
    algebra, record = Algebra(), Record()
    fakes = FakeTensorMode(allow_non_fake_inputs=True) if fake else None
    with ExitStack() as stack:
        stack.enter_context(untouched(model))
        free_attention(model)
        weights, tensors = _weights(model, algebra)
        if fakes is not None:
            tensors = _fake_weights(model, fakes)
            args, kwargs = tree_map_only(Tensor, lambda t: _fake(fakes, t), (args, kwargs))
        else:
            args, kwargs = tree_map_only(Tensor, torch.clone, (args, kwargs))
        roots = {id(tensor): weights[path] for path, tensor in tensors.items()}
        mode = LabelMode(algebra, roots, record=record)
        sizes = SizeMode(mode)
        tag_attributes(model, sizes.watch)
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, Tensor):
                mode.keep(tensor)
                record.inputs.add(tensor.untyped_storage()._cdata)
        if fakes is not None:
            stack.enter_context(fakes)
        output = _call(stack, model, (mode, sizes), args, kwargs)
    mode.keep_outputs(output, free=free_outputs)
    _couple(algebra, record)
    _fix_unused(algebra, record, weights)
    return algebra, record, weights


def _call(
    stack: ExitStack, model: nn.Module, modes: tuple[LabelMode, SizeMode], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    stack.enter_context(_quiet())
    stack.enter_context(_module_paths(model, modes[0]))
    stack.enter_context(modes[0])
    stack.enter_context(modes[1])
    try:
        return model(*args, **kwargs)
    except (DataDependentOutputException, DynamicOutputShapeException, SecateursError):
        raise
    except Exception as error:  # the model is the user's, and may raise anything
        shapes = [tuple(leaf.shape) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        place = modes[0].modules[-1]
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise GraphError(
            f"{type(model).__name__}{f', module {place}' if place else ''}",
            wanted="a model that runs on the example input",
            got=f"{type(error).__name__}: {reason} (input shapes {shapes})",
            cure="Call the model on this input yourself; check shapes and types.",
        ) from error


@contextmanager
def masked_run(model: nn.Module, graph: Graph, removed: Mapping[str, tuple[int, ...]]) -> Iterator[LabelMode]:
    """Inside, a dense model computes what it would compute after the removal; evaluation mode, no gradients.

    Args:
        model: the graph's model, or a copy of it in any floating type.
        graph: the trace.
        removed: axis name to removed units.
    """
    gone = graph.roots_of(removed)

    def mask(label: Label | None) -> Label | None:
        return None if label is None else mask_of(graph.algebra.removed_rows(label, gone))

    algebra = MaskAlgebra([mask_of(graph.algebra.removed_rows(label, gone)) for label in graph.made])
    with ExitStack() as stack:
        stack.enter_context(untouched(model))
        free_attention(model)
        infos = {path: Info(tuple(mask(label) for label in info.labels)) for path, info in graph.weights.items()}
        roots = {id(tensor): infos[path] for path, tensor in _tensors(model).items()}
        mode = LabelMode(algebra, roots)
        stack.enter_context(mode)
        yield mode


def free_attention(model: nn.Module, paths: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Put modules with free inner sizes in the place of `nn.MultiheadAttention`; returns where.

    The model itself is never replaced, only modules inside it.
    """
    replaced: dict[int, FreeMultiheadAttention] = {}
    done = []
    for path, module in list(model.named_modules(remove_duplicate=False)):
        if type(module) is not nn.MultiheadAttention or not path or (paths is not None and path not in paths):
            continue
        free = replaced.setdefault(id(module), FreeMultiheadAttention(module))
        parent, _, name = path.rpartition(".")
        model.get_submodule(parent)._modules[name] = free
        done.append(path)
    return tuple(done)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by path, tied ones once, under the first of their paths."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _weights(model: nn.Module, algebra: Algebra) -> tuple[dict[str, Info], dict[str, Tensor]]:
    tensors = _tensors(model)
    weights = {}
    for path, tensor in tensors.items():
        labels = tuple(
            algebra.fresh(size) if size > 1 and tensor.is_floating_point() else None for size in tensor.shape
        )
        weights[path] = Info(labels, tensor.requires_grad, path)
    return weights, tensors


def _fake(fakes: FakeTensorMode, tensor: Tensor) -> Tensor:
    """A fake tensor of the same shape, layout, type and device."""
    if type(tensor) not in (Tensor, nn.Parameter) or tensor.layout != torch.strided:
        return fakes.from_tensor(tensor, static_shapes=True)
    # The general conversion takes eight times as long, most of it on features that plain tensors do not have.
    empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    fake = FakeTensor(fakes, empty, tensor.device)
    if isinstance(tensor, nn.Parameter):
        fake._is_param = True
    return fake


def _fake_weights(model: nn.Module, fakes: FakeTensorMode) -> dict[str, Tensor]:
    """Put fake tensors in the place of all parameters and buffers; returns them by path."""
    made: dict[int, Tensor] = {}
    for module in model.modules():
        for registry in (module._parameters, module._buffers):
            for name, tensor in registry.items():
                if tensor is not None:
                    if id(tensor) not in made:
                        made[id(tensor)] = _fake(fakes, tensor)
                    registry[name] = made[id(tensor)]  # type: ignore[assignment]
    return _tensors(model)


@contextmanager
def _quiet() -> Iterator[None]:
    """torch logs a traceback before it raises what we turn into one error."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _module_paths(model: nn.Module, mode: LabelMode) -> Iterator[None]:
    """Keeps the path of the running module on `mode.modules`."""
    paths: dict[int, str] = {id(module): path for path, module in model.named_modules()}

    def enter(module: nn.Module, _args: Any) -> None:
        mode.modules.append(paths.get(id(module), mode.modules[-1]))

    def leave(_module: nn.Module, _args: Any, _output: Any) -> None:
        mode.modules.pop()

    register: list[Callable[..., Any]] = [
        nn.modules.module.register_module_forward_pre_hook,
        nn.modules.module.register_module_forward_hook,
    ]
    handles = [register[0](enter), register[1](leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _couple(algebra: Algebra, record: Record) -> None:
    """Dims whose size the code takes from one attribute must keep equal sizes: they are cut index by index."""
    first: dict[Attribute, SizeUse] = {}
    for use in record.sizes:
        if isinstance(use.expression, Attribute):
            other = first.setdefault(use.expression, use)
            algebra.unify(other.label, use.label, f"sized by {use.expression} at {use.where}")


def _fix_unused(algebra: Algebra, record: Record, weights: Mapping[str, Info]) -> None:
    for path, info in weights.items():
        if path not in record.used:
            for label in info.labels:
                algebra.fix(label, "not used in the traced call")
