"""Variants that are every combination of a few choices, written out."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from secateurs._errors import ConfigError
from secateurs._nearest import nearest_hint

__all__ = ["write_out_factors"]

_FACTORS, _EACH = "factors", "for_each"
_MOST = 10_000


def write_out_factors(config: Any, *, source: str) -> Any:
    """The recipe with every variant that stands `for_each` of some factors as one variant for each combination.

    Factors are `name -> choice -> {dotted path: value}`; a choice or a variant that is null is left out. `aware` with
    `for_each: [network, level]` becomes `aware-resnet20-50` and so on: the values of the choices, in the order of the
    factors, then its own, which have the last word.

    Raises:
        ConfigError: an unknown factor, or one without choices.
    """
    if not isinstance(config, dict) or not isinstance(config.get("variants"), dict):
        return config
    factors = config.get(_FACTORS) or {}
    if not _is_factors(factors):
        _refuse(_FACTORS, "a mapping of factors to choices to {dotted path: value}", "something else", source)
    variants: dict[str, Any] = {}
    for name, values in config["variants"].items():
        if values is None:
            continue
        if isinstance(values, dict) and _EACH in values:
            own = {path: value for path, value in values.items() if path != _EACH}
            chosen = _chosen(f"variants.{name}.{_EACH}", values[_EACH], factors, source)
            variants |= {f"{name}-{suffix}": changes | own for suffix, changes in _combined(chosen)}
        else:
            variants[str(name)] = values
    return {key: value for key, value in config.items() if key != _FACTORS} | {"variants": variants}


def _is_factors(found: Any) -> bool:
    return isinstance(found, dict) and all(
        isinstance(choices, dict) and all(values is None or isinstance(values, dict) for values in choices.values())
        for choices in found.values()
    )


def _chosen(
    where: str, names: Any, factors: Mapping[str, Mapping[str, Any]], source: str
) -> list[list[tuple[str, Mapping[str, Any]]]]:
    """Of each factor, its choices that are not left out."""
    if not isinstance(names, list) or not names:
        _refuse(where, "a list of factors", repr(names), source)
    found = []
    for name in names:
        if name not in factors:
            hint = nearest_hint(str(name), tuple(map(str, factors)), f"There are: {', '.join(map(str, factors))}.")
            raise ConfigError(where, wanted="names of `factors`", got=repr(name), cure=f"{hint} (in {source})")
        choices = [(str(choice), values) for choice, values in factors[name].items() if values is not None]
        if not choices:
            _refuse(f"{_FACTORS}.{name}", "at least one choice that is not null", "none", source)
        found.append(choices)
    count = 1
    for choices in found:
        count *= len(choices)
    if count > _MOST:
        _refuse(where, f"at most {_MOST:,} combinations", f"{count:,}", source)
    return found


def _combined(chosen: Sequence[Sequence[tuple[str, Mapping[str, Any]]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for combination in itertools.product(*chosen):
        changes = {path: value for _, values in combination for path, value in values.items()}
        yield "-".join(choice for choice, _ in combination), changes


def _refuse(where: str, wanted: str, got: str, source: str) -> NoReturn:
    raise ConfigError(where, wanted=wanted, got=got, cure=f"Correct it in {source}.")
