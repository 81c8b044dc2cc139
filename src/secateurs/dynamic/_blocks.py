"""The residual blocks of any network: what adds a function of its input to its input."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from secateurs._errors import GraphError
from secateurs.dynamic._heads import channels_of
from secateurs.dynamic._paths import skip_path
from secateurs.graph import arguments_of, untouched

__all__ = ["Block", "find_blocks"]


@dataclass(frozen=True, kw_only=True)
class Block:
    """One module that can be skipped.

    Attributes:
        path: of the module.
        channels: of its input.
        shape: of its input for one image.
        projects: its skip path has weights: the shape changes there.
    """

    path: str
    channels: int
    shape: tuple[int, ...]
    projects: bool


def find_blocks(
    model: nn.Module,
    args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    blocks: Iterable[str] | None = None,
) -> tuple[Block, ...]:
    """The blocks of a model, in the order of execution; the model runs once and is left as it was.

    A block is a module that is called once, with one tensor and nothing else, and whose code adds to its input (or to
    a projection of it) a function of it. A module that only holds blocks in a row is none, even if it adds to its
    input too; a block that has another inside is one.

    Args:
        args, kwargs: an example call, given in any of the ways of `trace`.
        blocks: patterns of module paths; only these, and all of these.

    Raises:
        GraphError: the model fails on the example, has no blocks, or a pattern names what is none.
    """
    args, kwargs = arguments_of(model, args, kwargs)
    with untouched(model, (args, kwargs)):
        calls = _calls(model, args, kwargs)
        found = {path: block for path, seen in calls.items() if (block := _block(model, path, seen)) is not None}
    if blocks is not None:
        return _named(model, found, calls, tuple(blocks))
    chosen = tuple(found[path] for path in _unnested(found))
    if not chosen:
        raise GraphError(
            type(model).__name__,
            wanted="modules that add a function of their input to their input",
            got="none that is called once, with one tensor",
            cure="Give every block a module of its own, whose forward takes x and returns f(x) + x.",
        )
    return chosen


@dataclass(frozen=True, kw_only=True)
class _Call:
    """How a module was called; `x` is None where it cannot be skipped, and `why` says so."""

    x: Tensor | None = None
    gave: tuple[int, ...] = ()
    why: str = ""


def _calls(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, _Call]:
    """Of every module below the model that has children, in the order of their beginning."""
    calls: dict[str, _Call] = {}
    with ExitStack() as stack:
        for path, module in model.named_modules():
            if path and next(module.children(), None) is not None:
                before = module.register_forward_pre_hook(_begin(calls, path), with_kwargs=True)
                after = module.register_forward_hook(_end(calls, path))
                stack.callback(before.remove)
                stack.callback(after.remove)
        model(*args, **kwargs)
    return calls


def _begin(calls: dict[str, _Call], path: str) -> Any:
    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if path in calls:
            calls[path] = _Call(why="it is called more than once")
        elif kwargs or len(args) != 1 or not isinstance(args[0], Tensor) or args[0].dim() < 2:
            calls[path] = _Call(why="it takes more than one tensor")
        else:
            calls[path] = _Call(x=args[0].detach().clone())

    return hook


def _end(calls: dict[str, _Call], path: str) -> Any:
    def hook(_module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        x = calls[path].x
        if x is not None and not isinstance(output, Tensor):
            calls[path] = _Call(why="it does not return one tensor")
        elif x is not None and not args[0].equal(x):
            calls[path] = _Call(why="it writes into its input")
        elif x is not None:
            calls[path] = _Call(x=x, gave=tuple(output.shape))

    return hook


def _block(model: nn.Module, path: str, call: _Call) -> Block | None:
    module = model.get_submodule(path)
    if call.x is None or (found := skip_path(module)) is None:
        return None
    if tuple(found.run(module, call.x).shape) != call.gave:  # what is left out is wider than what it is added to
        return None
    return Block(
        path=path,
        channels=channels_of(call.x),
        shape=tuple(call.x.shape[1:]),
        projects=found.weighs(module),
    )


def _unnested(found: Mapping[str, Block]) -> Iterator[str]:
    """Modules with two or more blocks inside are what holds them; blocks in other blocks go with those."""
    held = {path: [other for other in found if other.startswith(f"{path}.")] for path in found}
    outer = {path for path, inner in held.items() if len(inner) < 2}
    return (path for path in found if path in outer and not any(path in held[other] for other in outer))


def _named(
    model: nn.Module, found: Mapping[str, Block], calls: Mapping[str, _Call], patterns: tuple[str, ...]
) -> tuple[Block, ...]:
    names = [path for path, _ in model.named_modules() if path]
    for pattern in patterns:
        matched = [path for path in names if fnmatchcase(path, pattern)]
        wrong = [path for path in matched if path not in found]
        if not matched or wrong:
            call = calls.get(wrong[0]) if wrong else None
            got = "no such module" if not matched else f"{wrong[0]}: " + (call.why if call and call.why else _PLAIN)
            cure = f"Blocks of this model: {', '.join(found) or 'none'}."
            raise GraphError(pattern, wanted="blocks that add to their input", got=got, cure=cure)
    return tuple(block for path, block in found.items() if any(fnmatchcase(path, pattern) for pattern in patterns))


_PLAIN = "it adds no function of its input to its input"
