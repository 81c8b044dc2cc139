"""The mode that sends every operator of a running model through its rule."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from secateurs.graph._call import Call, Rule
from secateurs.graph._indices import Integers
from secateurs.graph._labels import Algebra, Label
from secateurs.graph._masks import MaskAlgebra, is_gone
from secateurs.graph._meta import Shadows
from secateurs.graph._record import FOREVER, Info, Record, touch
from secateurs.graph.model._outputs import Outputs
from secateurs.graph.rules import is_composite, rule_for, unknown
from secateurs.graph.sizes._provenance import user_frame

__all__ = ["LabelMode"]


class LabelMode(TorchDispatchMode):
    """Runs every operator through its rule.

    With a `record` it is a trace: labels flow, and the rules' findings are written down. Without one, masks flow in
    their place, and the dense model computes what the cut model would.
    """

    def __init__(
        self,
        algebra: Algebra | MaskAlgebra,
        roots: Mapping[int, Info],
        *,
        record: Record | None = None,
        values: Mapping[str, Integers] | None = None,
        shadows: Shadows | None = None,
    ) -> None:
        super().__init__()
        self.shadows = shadows
        """Runs the operators of a trace on meta tensors."""
        self.algebra, self.roots, self.record = algebra, roots, record
        self.values: Mapping[str, Integers] = values or {}
        """Lists of integers of the model by path, for a trace: the tensors in it have no values."""
        self.modules: list[str] = [""]
        self.sized = False
        """Set while the function mode looks after the provenance of the sizes in the running call."""
        self.dtypes: set[torch.dtype] = set()
        """Floating types of all results, for the tolerance of a proof."""
        self.scopes: dict[str, Any] = {}
        """Arguments of the running function that rules ask for by name (`groups`, `chunks`)."""

    def info(self, tensor: Tensor) -> Info:
        """Labels and more of a tensor; dims of tensors never seen before have none."""
        known: Info | None = self.roots.get(id(tensor)) or getattr(tensor, "_secateurs_info", None)
        return known or Info((None,) * tensor.dim())

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What an operator returns."""
        return func(*args, **kwargs) if self.shadows is None else self.shadows.run(func, args, kwargs)

    def fresh(self, n: int) -> Label:
        """Units that come into being at this call; a masked run takes those of the trace at the same line."""
        label = self.algebra.fresh(n)
        if self.record is not None:
            self.record.made.setdefault(user_frame(), []).append(label)
        return label

    def keep(self, tensor: Tensor) -> None:
        """The caller holds this tensor during the whole call."""
        if self.record is not None:
            touch(self.record, tensor, self.info(tensor)).last = FOREVER

    def keep_outputs(self, output: Outputs, *, free: bool) -> None:
        """The call returns these tensors: they stay alive, and unless `free` their sizes are promised."""
        if self.record is not None:
            self.record.free_outputs = free
            self.record.outputs += [self.info(tensor).labels for tensor in output.promised]
        for tensor in (*output.promised, *output.internal):
            self.keep(tensor)
            if self.record is not None:
                self.record.used.add(self.info(tensor).origin or "")
        for tensor in () if free else output.promised:
            for label in self.info(tensor).labels:
                self.algebra.fix(label, "an output of the model")

    def kept_part(self, tensor: Tensor) -> Tensor:
        """A result of a masked run at the positions that are not gone."""
        for dim, label in enumerate(self.info(tensor).labels):
            if label is not None and is_gone(label).any():
                kept = torch.from_numpy(np.flatnonzero(~is_gone(label))).to(tensor.device)
                tensor = tensor.index_select(dim, kept)
        return tensor

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """torch would import its compiler and enter it at every call; the model's compiled parts are run uncompiled."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        rule, composite = _ways.get(func) or _way(func)
        if rule is None:
            return self.run(func, args, kwargs or {})
        if composite:
            with self:
                return func.decompose(*args, **(kwargs or {}))
        if self.shadows is not None and (moved := self.shadows.alias(func, args, kwargs or {})) is not None:
            return moved
        return self._follow(rule, func, args, kwargs or {})

    def operate(self, func: Any, *args: Any) -> Any:
        """What an operator returns that has a rule, where torch's dispatcher does not see the call."""
        rule, _ = _ways.get(func) or _way(func)
        assert rule is not None
        return self._follow(rule, func, args, {})

    def _follow(self, rule: Rule, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = Call(self, func, args, kwargs)
        try:
            rule(call)
        except _MISFITS:
            result = call.out  # raises what the operator itself has to say about its arguments
            call = Call(self, func, args, kwargs)
            call.put(result)
            unknown(call)
        call.close()
        return call.out


def _way(func: Any) -> tuple[Rule | None, bool]:
    """The rule of an operator, and whether it is made of others; looked up once."""
    _ways[func] = rule_for(func), is_composite(func)
    return _ways[func]


_ways: dict[Any, tuple[Rule | None, bool]] = {}
_MISFITS = (ValueError, IndexError, KeyError, TypeError, AttributeError)
"""What a rule raises on a call of a form that it was not written for: the call then fixes what it touches."""
