"""Parametrisations that leave no trace when they go: torch's own put a parameter back at the end of its module."""

from torch import Tensor, nn
from torch.nn.utils import parametrize

__all__ = ["Parametrized"]


class Parametrized:
    """A parameter of a module computed through `inner` until `close`.

    Args:
        module: changed in place.
        name: of its parameter.
        inner: from the parameter's own values to what the module computes with.
    """

    def __init__(self, module: nn.Module, name: str, inner: nn.Module) -> None:
        self._module, self._name = module, name
        self._order = list(module._parameters)
        parametrize.register_parametrization(module, name, inner, unsafe=True)

    def close(self, *, keep: bool) -> None:
        """Make the parameter plain again, the same object as before.

        Args:
            keep: give it the computed values; else it has its own.
        """
        parametrize.remove_parametrizations(self._module, self._name, leave_parametrized=keep)
        parameters: dict[str, Tensor | None] = self._module._parameters  # type: ignore[assignment]
        # Tensors are found, named and saved in this order.
        for name in self._order:
            if name in parameters:
                parameters[name] = parameters.pop(name)
