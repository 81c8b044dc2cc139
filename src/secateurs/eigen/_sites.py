"""The layers of a model that may be rotated, and where they are in a call."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.eigen._bottleneck import Bottleneck, ends_of, is_candidate
from secateurs.eigen._forms import Place
from secateurs.graph import untouched
from secateurs.statistics import Batch, Layer, groups_of, layers_of

__all__ = ["Site", "places_of", "sites_of"]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A layer, or the bottleneck in its place.

    Attributes:
        path: of the layer.
        module: the layer or bottleneck.
        core: path of what is measured: the layer itself, or that inside of the bottleneck.
        layer: that module.
    """

    path: str
    module: nn.Module
    core: str
    layer: Layer


def sites_of(model: nn.Module, protect: Iterable[str] = ()) -> list[Site]:
    """All convolutions of one group and linear maps, bottlenecks as one, that are not protected and have no hooks.

    Raises:
        PlanError: a pattern that fits no layer.
    """
    patterns = tuple(protect)
    layers, modules = layers_of(model), dict(model.named_modules())
    nests = {path for path, module in modules.items() if isinstance(module, Bottleneck)}
    paths = {path: path for path in layers if path.rpartition(".")[0] not in nests}
    paths |= {nest: f"{nest}.core" for nest in nests if f"{nest}.core" in layers}
    _check_patterns(patterns, paths)
    return [
        Site(path=path, module=modules[path], core=paths[path], layer=layers[paths[path]])
        for path in modules
        # The model itself has no place that another module could be put in.
        if path in paths
        and path
        and groups_of(layers[paths[path]]) == 1
        and is_candidate(modules[path])
        and not any(_fits(path, pattern) for pattern in patterns)
    ]


def places_of(model: nn.Module, sites: Iterable[Site], example: Batch, *, patch: bool) -> Mapping[str, Place]:
    """Path to what the cost of each layer depends on; of those that the example reaches."""
    seen: dict[str, list[int]] = {}
    known = list(sites)
    with untouched(model, (example.args, example.kwargs)), _hooked(known, seen):
        example.outputs(model)
    return {
        site.path: Place.of(site.module, *seen[site.path], patch=patch and not isinstance(site.layer, nn.Linear))
        for site in known
        if site.path in seen
    }


@contextmanager
def _hooked(sites: Iterable[Site], seen: dict[str, list[int]]) -> Iterator[None]:
    handles = [site.module.register_forward_hook(partial(_count, seen, site.path)) for site in sites]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _count(seen: dict[str, list[int]], path: str, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
    inputs, outputs, _ = ends_of(module)
    before, behind = seen.get(path, [0, 0])
    seen[path] = [before + args[0].numel() // inputs, behind + output.numel() // outputs]


def _check_patterns(patterns: Iterable[str], paths: Mapping[str, str]) -> None:
    for pattern in patterns:
        if not any(_fits(path, pattern) for path in paths):
            cure = nearest_hint(pattern, sorted(paths), "Give paths of layers, or of modules around them.")
            raise PlanError("protect", wanted="patterns that fit a layer", got=repr(pattern), cure=cure)


def _fits(path: str, pattern: str) -> bool:
    """A module stands for all inside."""
    steps = path.split(".")
    return any(fnmatchcase(".".join(steps[:count]), pattern) for count in range(1, len(steps) + 1))
