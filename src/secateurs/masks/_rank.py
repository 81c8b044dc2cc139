"""From scores to the units that stay: plain functions of tensors, all on the device and without waiting for it."""

from collections.abc import Mapping

import torch
from torch import Tensor

from secateurs.masks._options import Granularity, MaskOptions

__all__ = ["expand_units", "keep_units", "random_units", "removed_count", "unit_scores"]


def removed_count(rate: float, units: int) -> int:
    """floor(rate * units), in floating point."""
    return int(rate * units)


def unit_scores(scores: Tensor, granularity: Granularity, *, signed: bool) -> Tensor:
    """The sum of a unit's scores, or of their absolute values, over the number of its weights.

    Args:
        scores: one per weight, [out, in, ...].
        granularity: the shape that comes out is [out, in, ...] for single weights, [out, in] for kernels and [out]
            for channels.
        signed: sum the scores themselves.
    """
    values = scores if signed else scores.abs()
    if granularity == "channel":
        return values.flatten(1).mean(1)
    if granularity == "kernel" and values.dim() > 2:
        return values.flatten(2).mean(2)
    return values


def keep_units(
    scores: Mapping[str, Tensor],
    initial: Mapping[str, Tensor],
    rates: Mapping[str, float],
    options: MaskOptions,
) -> dict[str, Tensor]:
    """Which units of each layer stay, as bool tensors of the shapes of `unit_scores`.

    Layerwise, the floor(rate * units) lowest of each layer go; of equal ones, those that come first. Globally, the
    units of all layers whose rate is not 0 are ranked together: the threshold is the floor(rate * units)-th lowest,
    and a unit stays if it is above it (for "relevant", if it is not below). A layer keeps its `floor` highest anyway.

    Args:
        scores: layer -> one score per weight.
        initial: the same as training began; used by `rank` "relevant" alone.
        rates: layer -> fraction removed; globally, a rate of 0 leaves a layer out of the ranking.
        options: see `MaskOptions`.
    """
    ranked = {name: _ranked(scores[name], initial[name], options) for name in scores}
    if options.granularity == "pattern":
        return {name: _pattern(values, options, rates[name]) for name, values in ranked.items()}
    if options.scope == "layerwise":
        return {name: _highest(values, _left(rates[name], values, options)) for name, values in ranked.items()}
    return _global(ranked, rates, options)


def random_units(
    units: Mapping[str, int], generator: torch.Generator, rates: Mapping[str, float], *, floor: int
) -> dict[str, Tensor]:
    """Of each layer's `units` as many stay as layerwise ranking would leave, drawn at random; bool [units], CPU."""
    kept = {}
    for name, count in units.items():
        order = torch.randperm(count, generator=generator)
        kept[name] = torch.zeros(count, dtype=torch.bool)
        removed = min(removed_count(rates[name], count), max(count - floor, 0))
        kept[name][order[removed:]] = True
    return kept


def expand_units(kept: Tensor, weight: Tensor) -> Tensor:
    """A mask of units as one of the weights that they are made of."""
    return kept.reshape(*kept.shape, *(1,) * (weight.dim() - kept.dim())).expand(weight.shape)


def _ranked(scores: Tensor, initial: Tensor, options: MaskOptions) -> Tensor:
    values = unit_scores(scores, options.granularity, signed=options.signed)
    if options.rank == "absolute":
        return values
    before = unit_scores(initial, options.granularity, signed=False)
    return values / before.clamp(min=torch.finfo(before.dtype).tiny)


def _left(rate: float, values: Tensor, options: MaskOptions) -> int:
    count = values.numel()
    return max(count - removed_count(rate, count), min(options.floor, count))


def _highest(values: Tensor, count: int) -> Tensor:
    """The `count` highest; of equal ones those that come last, as a stable sort would have it."""
    flat = values.flatten()
    if count == flat.numel():
        return torch.ones_like(values, dtype=torch.bool)
    # Selection takes time in proportion to the weights, sorting does not.
    threshold = flat.kthvalue(flat.numel() - count + 1).values
    above, equal = flat > threshold, flat == threshold
    skipped = equal.sum() - (count - above.sum())
    return (above | (equal & (equal.cumsum(0) > skipped))).view_as(values)


def _global(ranked: Mapping[str, Tensor], rates: Mapping[str, float], options: MaskOptions) -> dict[str, Tensor]:
    pool = [values.flatten() for name, values in ranked.items() if rates[name]]
    removed = removed_count(options.rate, sum(values.numel() for values in pool))
    if not removed:
        return {name: torch.ones_like(values, dtype=torch.bool) for name, values in ranked.items()}
    threshold = torch.cat(pool).kthvalue(removed).values
    kept = {}
    for name, values in ranked.items():
        if not rates[name]:
            kept[name] = torch.ones_like(values, dtype=torch.bool)
            continue
        stays = values >= threshold if options.rank == "relevant" else values > threshold
        kept[name] = stays | _highest(values, min(options.floor, values.numel()))
    return kept


def _pattern(values: Tensor, options: MaskOptions, rate: float) -> Tensor:
    """The highest `group_kept` of each `group` neighbouring inputs, for each output and kernel offset apart."""
    rows = values.movedim(1, -1)
    whole = rows.shape[-1] // options.group * options.group
    kept = torch.ones_like(rows, dtype=torch.bool)
    if rate and whole:
        groups = rows[..., :whole].unflatten(-1, (-1, options.group))
        best = groups.topk(options.group_kept, dim=-1).indices
        kept[..., :whole] = torch.zeros_like(groups, dtype=torch.bool).scatter(-1, best, True).flatten(-2)
    return kept.movedim(-1, 1)
