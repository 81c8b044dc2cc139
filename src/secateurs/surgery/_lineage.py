"""Where the units of a cut model come from: their indices in the model as it was before its first cut."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs._nearest import nearest_hint
from secateurs.graph import Plan, tensors_of, unwrapped
from secateurs.surgery._changes import plans_of

__all__ = ["Lineage", "lineage"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lineage:
    """What any number of cuts have done to the places of a model's tensors.

    Attributes:
        model: as it is now.
        plans: those that led to it, in order.
    """

    model: nn.Module
    plans: tuple[Plan, ...]

    def places(self, path: str) -> tuple[Tensor, ...]:
        """For each dim of a parameter or buffer, where what is there now was before the first cut: int64 tensors.

        A tensor that a cut has put in (the index of a scatter) counts from then on.

        >>> net = apply(net, trace(net, args=(x,)).plan({"0": [1]})).model  # of three units
        >>> lineage(net).places("0.weight")[0]
        tensor([0, 2])

        Raises:
            PlanError: the model has no such parameter or buffer, or it has been resized by something else than a plan.
        """
        tensor = self._tensor(path)
        places: tuple[Tensor, ...] | None = None
        for plan in self.plans:
            if plan.aliases.get(path, path) in plan.shapes:
                kept = plan.kept(path)
                places = kept if places is None else tuple(a[b] for a, b in zip(places, kept, strict=True))
        if places is None:
            return tuple(torch.arange(size) for size in tensor.shape)
        shape = tuple(len(place) for place in places)
        if shape != tuple(tensor.shape):
            cure = "Cut models by plans alone; what else resizes them leaves no trace of where units come from."
            raise PlanError(path, wanted=f"shape {shape} after its plans", got=str(tuple(tensor.shape)), cure=cure)
        return places

    def size(self, path: str, dim: int = 0) -> int:
        """Of a dim, before the first cut that knows the tensor.

        Raises:
            PlanError: the model has no such parameter or buffer.
        """
        tensor = self._tensor(path)
        for plan in self.plans:
            canonical = plan.aliases.get(path, path)
            if canonical in plan.shapes:
                return plan.shapes[canonical][dim]
        return int(tensor.shape[dim])

    def _tensor(self, path: str) -> Tensor:
        parent, _, name = path.rpartition(".")
        try:
            tensor = getattr(self.model.get_submodule(parent), name)
        except AttributeError:
            tensor = None
        if not isinstance(tensor, Tensor):
            cure = nearest_hint(path, sorted(tensors_of(self.model)), "Check the name.")
            raise PlanError(path, wanted="a parameter or buffer of the model", got="an unknown path", cure=cure)
        return tensor


def lineage(model: nn.Module) -> Lineage:
    """The lineage of a model that was cut any number of times, or never; also of one that `load` has read."""
    model = unwrapped(model)
    return Lineage(model=model, plans=plans_of(model))
