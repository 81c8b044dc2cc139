"""The pruner as a callback of the Hugging Face Trainer; transformers is imported when one is asked for."""

import importlib
from typing import Any, Literal

from secateurs._errors import ConfigError
from secateurs.callbacks._pruner import IterativePruner

__all__ = ["trainer_callback"]


def trainer_callback(pruner: IterativePruner, *, unit: Literal["step", "epoch"] = "step") -> Any:
    """A callback for `transformers.Trainer` that cuts while it trains.

    Checkpoints that the Trainer writes after a cut hold the small weights beside the settings of the dense network;
    write the result by `secateurs.save`, or by `secateurs.save_pretrained` where its settings can express the widths.

    Args:
        pruner: when to cut, and what.
        unit: what `pruner` counts: optimizer steps, or epochs.

    Raises:
        ConfigError: transformers is not installed.
    """
    try:
        package = importlib.import_module("transformers")
    except ModuleNotFoundError as error:
        cure = "Install it: pip install transformers accelerate."
        raise ConfigError("trainer_callback", wanted="transformers", got="no such package", cure=cure) from error

    class Callback(package.TrainerCallback):  # type: ignore[name-defined] # its base is known only here
        """Tells the pruner of steps."""

        def on_step_end(self, args: Any, state: Any, control: Any, **known: Any) -> None:  # noqa: ARG002
            if unit == "step":
                pruner.step(known["model"], known.get("optimizer"))

        def on_epoch_end(self, args: Any, state: Any, control: Any, **known: Any) -> None:  # noqa: ARG002
            if unit == "epoch":
                pruner.step(known["model"], known.get("optimizer"))

    return Callback()
