"""Rotate a network into its Kronecker-factored eigenbasis, and cut there."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs.cost import cost
from secateurs.eigen._bottleneck import Widths, freeze, put
from secateurs.eigen._build import bottleneck, pieces
from secateurs.eigen._change import Rotation
from secateurs.eigen._directions import Directions, rotated, with_importance
from secateurs.eigen._forms import Place, full_form
from secateurs.eigen._norms import renew_norms
from secateurs.eigen._options import EigenOptions
from secateurs.eigen._order import Kept, choose
from secateurs.eigen._prove import prove
from secateurs.eigen._sites import Site, places_of, sites_of
from secateurs.eigen._tally import Candidate
from secateurs.graph import Cost, readable
from secateurs.statistics import first_image, kronecker_factors, read_batches, squared_gradients
from secateurs.surgery import copy_model, record

__all__ = ["directions_of", "rotate", "rotate_and_prove"]

Loss = Callable[[Any, Any], Tensor]


def rotate(
    model: nn.Module,
    batches: Iterable[Any] | None,
    *,
    remove: Mapping[str, float] | None = None,
    options: EigenOptions | None = None,
    loss: Loss | None = None,
    protect: Iterable[str] = (),
    verify: bool = True,
) -> nn.Module:
    """A copy whose layers are bottlenecks of the directions that matter: 1x1 - kxk - 1x1, in the eigenbasis of the
    Fisher matrix's Kronecker factors (EigenDamage; Wang et al., EigenDamage: Structured Pruning in the
    Kronecker-Factored Eigenbasis, 2019).

    Outer widths stay, so that nothing around a layer has to follow. Directions of layers' inputs and outputs go, those
    first that lose the least importance for what they save, until the budget is met from above, rotations counted. A
    layer becomes a bottleneck only where that is cheaper in the unit that `remove` names first. A bottleneck that is
    there already is rotated inside, and the rotations are multiplied: bottlenecks never nest.

    The result is an ordinary network: to `trace`, `cost`, `prune`, `save` and `load`, and to training. Biases stay as
    they are, behind the bottleneck. Grouped convolutions, layers with hooks and subclasses of torch's layers stay
    whole, and so do layers that the batches do not reach.

    Args:
        model: any module; it is left as it is.
        batches: (inputs, targets), dicts or inputs, iterated once, once more with `ekfac`, and twice more to renew
            norms. Costs are those of the first image.
        remove: fraction of `macs`, `params`, `bytes` or `units` (directions of all these layers) to remove; one or
            several, all are met. None rotates every layer and cuts nothing.
        options: how factors are measured, limits, and the form of what is left.
        loss: of outputs and targets, for the empirical Fisher.
        protect: patterns of layers, or modules around them, that stay whole. The published code spares the last
            classifier.
        verify: prove, in double precision on the first image, that the result gives what the model's own layers give
            with the weights that are left.

    Raises:
        BudgetError: the limits do not allow the budget.
        PlanError: no layer to rotate, no batches, or options that make no sense.
        VerifyError: the result would be wrong.

    >>> small = rotate(net, batches, remove={"macs": 0.5})
    """
    return rotate_and_prove(model, batches, remove=remove, options=options, loss=loss, protect=protect, verify=verify)[
        0
    ]


@torch.inference_mode(False)  # tensors made in inference mode could never be trained again
def rotate_and_prove(
    model: nn.Module,
    batches: Iterable[Any] | None,
    *,
    remove: Mapping[str, float] | None = None,
    options: EigenOptions | None = None,
    loss: Loss | None = None,
    protect: Iterable[str] = (),
    verify: bool = True,
) -> tuple[nn.Module, Rotation, float | None]:
    """What `rotate` gives, with the change as a value and the error of the proof; see there."""
    options = options or EigenOptions()
    model = readable(model, where="rotate")
    looked_at = list(batches) if isinstance(batches, Iterator) else batches  # what is used up by one look
    example = first_image(next(iter(read_batches(looked_at, "rotate", _device(model)))))
    before = cost(model, example.args, example.kwargs)
    sites, found = directions_of(model, looked_at, options=options, loss=loss, protect=protect)
    patch = options.factors.inputs == "patch"
    places = places_of(model, [site for site in sites if site.path in found], example, patch=patch)
    kept = _kept(found, places, remove, before, options)
    left = {
        path: (pieces(found[path], own.columns, own.rows, options.method), own.widths)
        for path, own in kept.items()
        if own.widths is not None
    }
    error = prove(model, left, example) if verify and left else None
    small = copy_model(model)
    fixed = options.rotations == "fixed"
    for path, (parts, widths) in left.items():
        module = small.get_submodule(path)
        made = bottleneck(module, parts, widths)
        if fixed:
            freeze([made.into, made.out])
        put(small, module, made)
    if left and remove is not None and options.norms == "renewed":
        renew_norms(model, small, looked_at or ())
    after = cost(small, example.args, example.kwargs)
    layers = {path: widths for path, (_, widths) in left.items()}
    directions = sum(sum(places[path].directions) for path in kept), sum(own.directions for own in kept.values())
    change = Rotation(layers=layers, fixed=fixed, before=before, cost=after, directions=directions)
    record(small, change)
    return small, change, error


def directions_of(
    model: nn.Module,
    batches: Iterable[Any] | None,
    *,
    options: EigenOptions | None = None,
    loss: Loss | None = None,
    protect: Iterable[str] = (),
) -> tuple[list[Site], dict[str, Directions]]:
    """The layers that may be rotated, and each in its eigenbasis, with importances, by path.

    Raises:
        PlanError: as `rotate`.
    """
    options = options or EigenOptions()
    sites = sites_of(model, protect)
    layers = {site.core: site.layer for site in sites}
    if not layers:
        cure = "Protect less; grouped convolutions and layers with hooks cannot be rotated."
        raise PlanError(type(model).__name__, wanted="a convolution or linear map to rotate", got="none", cure=cure)
    factors = kronecker_factors(model, batches, options=options.factors, loss=loss, layers=layers)
    found = {site.path: rotated(site.layer.weight, factors[site.core]) for site in sites if site.core in factors}
    squares: Mapping[str, tuple[Tensor, Tensor]] = {}
    if options.ekfac:
        bases = {site.core: (found[site.path].left, found[site.path].right) for site in sites if site.path in found}
        squares = squared_gradients(
            model, batches, options=options.factors, loss=loss, layers={p: layers[p] for p in bases}, bases=bases
        )
    weighed = {}
    for site in sites:
        if site.path in found:
            one = found[site.path]
            curvature = squares[site.core][0].double().reshape(one.weight.shape) if squares else one.curvature
            weighed[site.path] = with_importance(
                one.weight, one.left, one.right, curvature, normalize=options.normalize
            )
    return sites, weighed


def _kept(
    found: Mapping[str, Directions],
    places: Mapping[str, Place],
    remove: Mapping[str, float] | None,
    before: Cost,
    options: EigenOptions,
) -> dict[str, Kept]:
    """What stays of each layer."""
    paths = [path for path in found if path in places]
    if remove is None:
        return {path: _everything(places[path]) for path in paths}
    # One order of equal importances on every device.
    candidates = [
        Candidate(path=path, place=places[path], importance=found[path].importance.cpu().double()) for path in paths
    ]
    dense = {"macs": before.macs, "params": before.params, "bytes": before.bytes}
    chosen = choose(candidates, remove, dense, order=options.order, limit=options.limit, fold=options.fold)
    return dict(zip(paths, chosen, strict=True))


def _everything(place: Place) -> Kept:
    columns, rows = (tuple(range(size)) for size in place.directions)
    widths: Widths = full_form(place)
    return Kept(columns=columns, rows=rows, widths=widths)


def _device(model: nn.Module) -> torch.device:
    return next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
