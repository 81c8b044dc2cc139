"""The pruner as a callback of Lightning's Trainer; Lightning is imported when one is asked for."""

import importlib
import sys
from typing import Any, Literal

from torch import nn

from secateurs._errors import ConfigError
from secateurs.callbacks._pruner import IterativePruner

__all__ = ["lightning_callback"]

_PACKAGES = ("pytorch_lightning", "lightning.pytorch")


def lightning_callback(
    pruner: IterativePruner, *, network: str = "model", unit: Literal["step", "epoch"] = "step"
) -> Any:
    """A Lightning callback that cuts while `Trainer.fit` runs.

    Args:
        pruner: when to cut, and what.
        network: where in the LightningModule the network is that gets cut, as an attribute path. Not the
            LightningModule itself: that knows its trainer, with all data.
        unit: what `pruner` counts: optimizer steps, or epochs.

    Raises:
        ConfigError: Lightning is not installed; in training: no such network, or several optimizers.
    """
    package = _package()

    class Callback(package.Callback):  # type: ignore[name-defined] # its base is known only here
        """Tells the pruner of steps."""

        def __init__(self) -> None:
            self.pruner = pruner
            self._seen = 0

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            steps, self._seen = trainer.global_step - self._seen, trainer.global_step
            if unit == "step" and steps > 0:  # with accumulated gradients, not every batch is a step
                pruner.step(_network(pl_module, network), _optimizer(trainer))

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if unit == "epoch":
                pruner.step(_network(pl_module, network), _optimizer(trainer))

    return Callback()


def _package() -> Any:
    """The one that the program uses already, or else the one that is installed."""
    for name in sorted(_PACKAGES, key=lambda name: name not in sys.modules):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    cure = "Install it: pip install lightning."
    raise ConfigError("lightning_callback", wanted="Lightning", got="no such package", cure=cure)


def _network(module: nn.Module, path: str) -> nn.Module:
    try:
        return module.get_submodule(path) if path else module
    except AttributeError as error:
        known = ", ".join(name for name, _ in module.named_children()) or "no modules"
        cure = "Name it: lightning_callback(pruner, network='...')."
        raise ConfigError(f"network {path!r}", wanted=f"one of {known}", got="no such module", cure=cure) from error


def _optimizer(trainer: Any) -> Any:
    if len(trainer.optimizers) != 1:
        cure = "Call IterativePruner.step yourself, once the state of all of them may be lost."
        got = str(len(trainer.optimizers))
        raise ConfigError("lightning_callback", wanted="one optimizer", got=got, cure=cure)
    return trainer.optimizers[0]
