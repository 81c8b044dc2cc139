"""Which variants are one method at several budgets."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from secateurs.reporting.html._views import View

__all__ = ["methods_of"]

_BUDGETS = {"remove", "ratio", "rate", "rates", "k", "level", "density", "times", "target", "cap"}
"""Keys of recipes whose numbers say how much goes."""
_REFERENCES = re.compile(r"(^|\s)[&*]\w", re.MULTILINE)
_OWN = {"name", "description", "seed", "seeds", "variants", "trackers", "device", "devices", "threads"}


def methods_of(views: Sequence[View]) -> Mapping[str, str]:
    """Variant to its method, in order: variants whose recipes differ in how much they remove alone are one.

    A method is called by what the names of its variants have in common, `l2` for `l2-50` and `l2-80`.
    """
    alike: dict[str, list[str]] = {}
    for variant, view in {view.variant: view for view in reversed(views)}.items():
        alike.setdefault(_essence(view) or variant, []).insert(0, variant)
    order = list(dict.fromkeys(view.variant for view in views))
    names: dict[str, str] = {}
    for variants in alike.values():
        called = _common(variants)
        # Two methods may not share a name.
        called = called if called and called not in names.values() else _listed(variants)
        names |= dict.fromkeys(variants, called)
    return {variant: names[variant] for variant in order}


def _listed(variants: Sequence[str]) -> str:
    return " and ".join(variants) if len(variants) < 3 else f"{variants[0]} and {len(variants) - 1} more"


def _essence(view: View) -> str:
    """The recipe without its budgets and without what makes no other method."""
    if _REFERENCES.search(view.config):  # ours have none, and those of others can grow without end
        return ""
    try:
        config = yaml.safe_load(view.config)
    except (yaml.YAMLError, RecursionError, ValueError):
        return ""
    if not isinstance(config, dict):
        return ""
    return repr(_without({key: value for key, value in config.items() if key not in _OWN}, budget=False))


def _without(value: Any, *, budget: bool) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner, budget=budget or key in _BUDGETS) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, budget=budget) for inner in value]
    return "#" if budget and isinstance(value, int | float) and not isinstance(value, bool) else value


def _common(variants: Sequence[str]) -> str:
    if len(variants) == 1:
        return variants[0]
    words = [re.split(r"([-_/ .=]+)", variant) for variant in variants]
    if len({len(each) for each in words}) > 1:
        return ""
    kept = [parts[0] if len(set(parts)) == 1 else "" for parts in zip(*words, strict=True)]
    return re.sub(r"[-_/ .=]+(?=[-_/ .=])", "", "".join(kept)).strip("-_/ .=")
