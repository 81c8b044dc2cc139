"""Run a model once, on nothing, and learn what may be cut."""

import gc
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException

from secateurs._errors import GraphError, SecateursError
from secateurs.graph._branches import find_branches
from secateurs.graph._graph import Graph
from secateurs.graph._grounds import FakeGround, Ground, MetaGround, RealGround
from secateurs.graph._indices import countable, settle_indices
from secateurs.graph._labels import Algebra, Label
from secateurs.graph._masks import MaskAlgebra, mask_of
from secateurs.graph._meta import common_device
from secateurs.graph._mode import LabelMode
from secateurs.graph._record import Info, Moment, Passage, Record
from secateurs.graph._unread import settle_reads
from secateurs.graph._zeroed import zero_branches
from secateurs.graph.model._arguments import arguments_of
from secateurs.graph.model._multihead import FreeMultiheadAttention
from secateurs.graph.model._outputs import Outputs, handed_on, tensors_in
from secateurs.graph.model._structure import map_tensors
from secateurs.graph.model._tensors import follow_ties, modules_of, plain_tensors, registered_tensors, tensors_of
from secateurs.graph.model._untouched import untouched
from secateurs.graph.model._wrappers import readable
from secateurs.graph.sizes._layers import direct_layers, hooked
from secateurs.graph.sizes._mode import SizeMode
from secateurs.graph.sizes._provenance import tag_attributes

__all__ = ["free_attention", "masked_run", "trace"]


def trace(
    model: nn.Module,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    free_outputs: bool = False,
) -> Graph:
    """Find out what may be cut in a model, and what may not and why.

    The model runs once on tensors without contents, computing nothing, in evaluation mode; it is left exactly as it
    was. Where its code depends on values or does not run on such tensors, it runs once for real instead, and
    `graph.notes` says so.

    The sizes of all tensors that the call returns are promised to stay: in tuples, lists, dicts, dataclasses. Those in
    objects of other classes that the model also hands to its own modules are its memory (a cache of keys and values)
    and shrink with it.

    Args:
        model: any module. `torch.compile`, `DataParallel` and `DistributedDataParallel` are looked through with a
            `WrapperWarning`; the graph is of the module inside.
        args, kwargs: an example call, `model(*args, **kwargs)`. A single tensor, named tuple or dataclass counts as
            one argument; a mapping in the place of `args` gives keywords, as does a single one in `args` whose keys
            are all names of the forward's parameters (a batch of a tokenizer).
        free_outputs: let the widths of the outputs shrink too (feature extractors).

    Raises:
        GraphError: the model cannot be read, or fails on these arguments.
    """
    model = readable(model)
    args, kwargs = arguments_of(model, args, kwargs)
    with _no_collection():
        algebra, record, weights = _first_that_runs(model, args, kwargs, free_outputs)
        return Graph(model, args, kwargs, algebra=algebra, record=record, weights=weights)


@contextmanager
def _no_collection() -> Iterator[None]:
    """A trace makes thousands of objects, nearly none of them in cycles: looking for these is a tenth of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _first_that_runs(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], free_outputs: bool
) -> tuple[Algebra, Record, dict[str, Info]]:
    """On meta tensors, which is fastest; else on fake ones, which know more devices; else for real."""
    device = common_device([*registered_tensors(model).values(), *tensors_in((args, kwargs))])
    grounds: list[Ground] = [FakeGround(), RealGround()]
    reasons: list[Exception] = []
    if device is not None:
        grounds.insert(0, MetaGround(device))
    for ground in grounds[:-1]:
        try:
            return _run(model, args, kwargs, ground=ground, free_outputs=free_outputs)
        except (DataDependentOutputException, DynamicOutputShapeException, SecateursError) as error:
            # Also what failed on tensors without contents: some code (`.numpy()`) runs on real ones only.
            reasons.append(error)
    if any(tensor.is_meta for tensor in registered_tensors(model).values()):
        raise _needs_values(model, reasons[0]) from reasons[0]
    algebra, record, weights = _run(model, args, kwargs, ground=grounds[-1], free_outputs=free_outputs)
    record.notes.append(f"the model ran for real, other values may take another path: {_line(reasons[-1])}")
    return algebra, record, weights


def _needs_values(model: nn.Module, first: Exception) -> SecateursError:
    where = first.where if isinstance(first, SecateursError) else type(model).__name__
    wanted = "code that runs on shapes alone, as the weights are on the meta device"
    cure = "If it looks at values, load the weights first; else check shapes and types of the input."
    return GraphError(where, wanted=wanted, got=_line(first), cure=cure)


def _line(error: Exception) -> str:
    """The first line of what an error says, after its class."""
    if isinstance(error, SecateursError):
        return error.got.partition(" (input shapes")[0]
    text = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {text}"


def _run(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, ground: Ground, free_outputs: bool
) -> tuple[Algebra, Record, dict[str, Info]]:
    algebra, record = Algebra(), Record()
    with ExitStack() as stack:
        stack.enter_context(untouched(model, (args, kwargs), copy_buffers=not ground.replaces_weights))
        free_attention(model)
        modules = modules_of(model)
        weights, tensors = _weights(model, modules, algebra)
        given = tensors
        if ground.replaces_weights:
            tensors = _replace_weights(modules.values(), given, ground.stand_in)
        args, kwargs = map_tensors(ground.stand_in, (args, kwargs))
        roots = {id(tensor): weights[path] for path, tensor in tensors.items()}
        mode = LabelMode(algebra, roots, record=record, values=countable(given, weights), shadows=ground.shadows)
        sizes = SizeMode(mode)
        stack.callback(tag_attributes(model, sizes.watch, modules))
        for tensor in tensors_in((args, kwargs)):
            mode.keep(tensor)
            record.inputs.add(tensor.untyped_storage()._cdata)
        stack.enter_context(ground.entered())
        output = _call(stack, model, (mode, sizes), args, kwargs)
    mode.keep_outputs(output, free=free_outputs)
    _fix_unused(algebra, record, weights, plain_tensors(model))
    settle_reads(algebra, record, weights)
    settle_indices(algebra, record, weights, given)
    find_branches(model, algebra, record, weights, _spans(record, tensors))
    return algebra, record, weights


def _call(
    stack: ExitStack, model: nn.Module, modes: tuple[LabelMode, SizeMode], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Outputs:
    modules, record = modules_of(model), modes[0].record
    direct = record is not None and modes[0].shadows is not None and not hooked()
    stack.enter_context(_module_paths(modules, modes[0]))
    stack.enter_context(modes[0])
    state = stack.enter_context(handed_on())
    stack.enter_context(modes[1])
    if record is not None and direct:
        direct_layers(modes[1], record, modules)
    try:
        return state.sort(model(*args, **kwargs))
    except (DataDependentOutputException, DynamicOutputShapeException, SecateursError):
        raise
    except Exception as error:  # the model is the user's, and may raise anything
        shapes = [tuple(tensor.shape) for tensor in tensors_in((args, kwargs))]
        place = modes[0].modules[-1]
        raise GraphError(
            f"{type(model).__name__}{f', module {place}' if place else ''}",
            wanted="a model that runs on the example input",
            got=f"{_line(error)} (input shapes {shapes})",
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

    made = {
        place: [mask_of(graph.algebra.removed_rows(label, gone)) for label in labels]
        for place, labels in graph.made.items()
    }
    algebra = MaskAlgebra(made)
    with ExitStack() as stack:
        stack.enter_context(untouched(model))
        free_attention(model)
        infos = {path: Info(tuple(mask(label) for label in info.labels)) for path, info in graph.weights.items()}
        roots = {id(tensor): infos[path] for path, tensor in tensors_of(model).items() if path in infos}
        mode = LabelMode(algebra, roots)
        zero_branches(stack, model, graph, gone, mode)
        sizes = SizeMode(mode, {(edit.path, edit.name, edit.index): edit.after for edit in graph.edits(removed)})
        stack.callback(tag_attributes(model, sizes.watch))
        stack.enter_context(mode)
        stack.enter_context(sizes)
        yield mode


def free_attention(model: nn.Module, paths: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Put modules with free inner sizes in the place of `nn.MultiheadAttention`; returns where.

    The model itself is never replaced, only modules inside it.
    """
    replaced: dict[int, FreeMultiheadAttention] = {}
    done = []
    if not any(type(module) is nn.MultiheadAttention for module in modules_of(model).values()):
        return ()
    for path, module in list(model.named_modules(remove_duplicate=False)):
        if type(module) is not nn.MultiheadAttention or not path or (paths is not None and path not in paths):
            continue
        free = replaced.setdefault(id(module), FreeMultiheadAttention(module))
        parent, _, name = path.rpartition(".")
        model.get_submodule(parent)._modules[name] = free
        done.append(path)
    return tuple(done)


def _weights(
    model: nn.Module, modules: Mapping[str, nn.Module], algebra: Algebra
) -> tuple[dict[str, Info], dict[str, Tensor]]:
    tensors = tensors_of(model, modules)
    shapes = [tensor.shape for tensor in tensors.values()]
    labels = iter(algebra.fresh_all(size for shape in shapes for size in shape if size > 1))
    weights = {
        path: Info(tuple(next(labels) if size > 1 else None for size in shape), tensor.requires_grad, path)
        for (path, tensor), shape in zip(tensors.items(), shapes, strict=True)
    }
    return weights, tensors


def _replace_weights(
    modules: Collection[nn.Module], given: Mapping[str, Tensor], stand_in: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """Put stand-ins in the place of all parameters and buffers; returns what is then in the place of `given`."""
    made: dict[int, Tensor] = {}
    for module in modules:
        for registry in (module._parameters, module._buffers):
            for name, tensor in registry.items():
                if tensor is not None:
                    if id(tensor) not in made:
                        made[id(tensor)] = stand_in(tensor)
                    registry[name] = made[id(tensor)]  # type: ignore[assignment]
    follow_ties(modules, made)
    return {path: made.get(id(tensor), tensor) for path, tensor in given.items()}


@contextmanager
def _module_paths(modules: Mapping[str, nn.Module], mode: LabelMode) -> Iterator[None]:
    """Keeps the path of the running module on `mode.modules`, and notes what modules return."""
    paths: dict[int, str] = {id(module): path for path, module in modules.items()}
    starts: list[Moment] = []
    record = mode.record or Record()

    def enter(module: nn.Module, _args: Any) -> None:
        mode.modules.append(paths.get(id(module), mode.modules[-1]))
        starts.append(record.moment())

    def leave(module: nn.Module, _args: Any, output: Any) -> None:
        path, start = mode.modules.pop(), starts.pop()
        if isinstance(output, Tensor) and id(module) in paths:
            labels, storage = mode.info(output).labels, output.untyped_storage()._cdata
            record.passages.append(Passage(path, start, record.moment(), labels, storage, output._version))

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


def _spans(record: Record, tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, int]]:
    """The first and the last operator that uses each weight."""
    found = {path: record.storages.get(tensor.untyped_storage()._cdata) for path, tensor in tensors.items()}
    return {path: (storage.born - 1, storage.last - 1) for path, storage in found.items() if storage is not None}


def _fix_unused(algebra: Algebra, record: Record, weights: dict[str, Info], plain: Iterable[str]) -> None:
    """What the call does not read stays; plain attributes among it (old results, often) are left alone."""
    for path in plain:
        if path in weights and path not in record.used:
            del weights[path]
    for path, info in weights.items():
        if path not in record.used:
            for label in info.labels:
                algebra.fix(label, "not used in the traced call")
