"""A rotation as a value: which layers became bottlenecks, so that a saved model is built again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, final

import torch
from torch import nn

from secateurs._errors import PlanError
from secateurs.eigen._bottleneck import Bottleneck, Widths, bare_bottleneck, core_of, ends_of, freeze, put
from secateurs.graph import Cost
from secateurs.statistics import groups_of
from secateurs.surgery import register_change

__all__ = ["Rotation"]

_CURE = "Make the model by the factory that the rotated one came from."


@final
@dataclass(frozen=True, kw_only=True)
class Rotation:
    """What `rotate` has done to a model.

    Attributes:
        layers: path of each layer that it replaced, to the widths that are left.
        fixed: whether the rotations ask for no gradients.
        before: cost of one image before.
        cost: after.
        directions: how many there were of inputs and outputs of all layers that could be rotated, and are left.
    """

    name: ClassVar[str] = "rotation"
    layers: Mapping[str, Widths]
    fixed: bool
    before: Cost
    cost: Cost
    directions: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        return {
            "layers": {path: asdict(widths) for path, widths in self.layers.items()},
            "fixed": self.fixed,
            "before": self.before.to_json(),
            "cost": self.cost.to_json(),
            "directions": list(self.directions),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Rotation":
        """The inverse of `to_json`.

        Raises:
            ValueError, KeyError, TypeError: a field is missing or of the wrong type.
        """
        layers = {str(path): Widths(**widths) for path, widths in dict(content["layers"]).items()}
        for widths in layers.values():
            widths.check()
        if type(content["fixed"]) is not bool:
            raise ValueError(f"`fixed` of type {type(content['fixed']).__name__}")
        before, cost = Cost.from_json(content["before"]), Cost.from_json(content["cost"])
        were, left = content.get("directions", (0, 0))  # not in files from before they were counted
        return cls(layers=layers, fixed=content["fixed"], before=before, cost=cost, directions=(int(were), int(left)))

    @torch.inference_mode(False)
    def carry_out(self, model: nn.Module) -> None:
        """Put bottlenecks in the place of layers; their weights are those of fresh layers.

        Raises:
            PlanError: a layer is not there, or not wide enough.
        """
        found = {path: _module(model, path) for path in self.layers}
        for path, widths in self.layers.items():
            _check_widths(path, found[path], widths)
        for path, widths in self.layers.items():
            made = bare_bottleneck(found[path], widths)
            if self.fixed:
                freeze([made.into, made.out])
            put(model, found[path], made)

    def __str__(self) -> str:
        rows = [f"{'layer':<40}{'into':>7}{'core':>7}{'out':>5}"]
        for path, widths in self.layers.items():
            into = "-" if widths.into is None else widths.into
            rows.append(f"{path:<40}{into:>7}{widths.core:>7}{'yes' if widths.out else '-':>5}")
        for name in ("params", "macs", "bytes"):
            dense, small = getattr(self.before, name), getattr(self.cost, name)
            ratio = 1 - small / dense if dense else 0.0
            rows.append(f"{name:<10}{dense:>18,} -> {small:>18,}  ({ratio:.1%} removed)")
        return "\n".join(rows)


def _module(model: nn.Module, path: str) -> nn.Module:
    try:
        module = model.get_submodule(path) if path else None
    except AttributeError:
        module = None
    if not isinstance(module, Bottleneck | nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
        got = "no such module" if module is None else type(module).__name__
        raise PlanError(path or "the model", wanted="a convolution, linear map or bottleneck", got=got, cure=_CURE)
    return module


def _check_widths(path: str, module: nn.Module, widths: Widths) -> None:
    """No rotation widens; this also keeps a damaged file from asking for any amount of memory."""
    core, (_, wide, _) = core_of(module), ends_of(module)
    inputs, widest = core.weight.shape[1], max(wide, len(core.weight))
    if groups_of(core) != 1 or (widths.into or 1) > inputs or widths.core > widest:
        got = f"one of {inputs} inputs and {widest} outputs in {groups_of(core)} groups"
        wanted = f"a layer with room for {widths.into or inputs} inputs and {widths.core} outputs"
        raise PlanError(path, wanted=wanted, got=got, cure=_CURE)


register_change(Rotation.name, Rotation.from_json)
