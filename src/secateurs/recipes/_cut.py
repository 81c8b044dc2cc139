"""Where recipes meet surgery's files: models written to stage folders and brought back from them."""

from pathlib import Path

from torch import nn

import secateurs
from secateurs._files import save_tensors
from secateurs.graph import Plan
from secateurs.recipes._model import load_weights

__all__ = ["restore_model", "save_model"]


def save_model(path: Path, model: nn.Module, plan: Plan | None) -> None:
    """Write the weights and, where the model was cut, the plan that leads to it from the dense one.

    `secateurs.load(path, factory)` reads it.
    """
    if plan is None:
        save_tensors(path, model.state_dict())
    else:
        secateurs.save(model, path, plan=plan)


def restore_model(path: Path, dense: nn.Module, plan: Plan | None) -> nn.Module:
    """`dense`, cut as the file says, with the weights in the file."""
    if plan is None:
        load_weights(dense, path)
        return dense
    return secateurs.load(path, lambda: dense)
