"""Trackers that cannot work are refused before anything else is done."""

import importlib
import inspect
from pathlib import Path

from secateurs._errors import ConfigError
from secateurs.recipes.trackers._mlflow import mlflow_uri
from secateurs.recipes.trackers._section import TrackersSection, WandbOptions
from secateurs.recipes.trackers._wandb import wandb_mode

__all__ = ["check_trackers", "where_to_look"]

_MODULES = {"tensorboard": "torch.utils.tensorboard", "mlflow": "mlflow", "wandb": "wandb"}


def check_trackers(section: TrackersSection) -> None:
    """Import what is asked for.

    Raises:
        ConfigError: a tracker is not installed, or W&B is online and has no key.
    """
    for name in section.names:
        try:
            importlib.import_module(_MODULES[name])
        except ImportError as error:
            raise ConfigError(
                f"trackers.{name}",
                wanted=f"the package {name}",
                got=" ".join(str(error).split()),
                cure=f"Install it: pip install {name} (or pip install 'secateurs[trackers]' for all of them).",
            ) from error
    if section.wandb is not None:
        _check_key(section.wandb)


def where_to_look(section: TrackersSection, home: Path, *, study: bool) -> list[str]:
    """Where what was tracked can be seen: an address or a command for each tracker."""
    found = []
    if section.tensorboard is not None:
        found.append(f"tensorboard --logdir {home}")
    if section.mlflow is not None:
        uri = mlflow_uri(section.mlflow, home)
        found.append(uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}")
    if section.wandb is not None and wandb_mode(section.wandb) == "offline":
        found.append(f"wandb sync {home}/{'*/*/' if study else ''}wandb/offline-run-*")
    return found


def _check_key(options: WandbOptions) -> None:
    """Without a key, W&B would ask for one in the middle of a run, or fail."""
    import wandb

    # Versions that cannot be asked quietly find out later, and then training goes on without them.
    if wandb_mode(options) != "online" or "prompt" not in inspect.signature(wandb.login).parameters:
        return
    try:
        logged_in = wandb.login(prompt=False, verify=False)
    except Exception:  # noqa: BLE001 - the network, or a server that refuses: said once when tracking begins
        return
    if not logged_in:
        raise ConfigError(
            "trackers.wandb",
            wanted="a key for W&B",
            got="none",
            cure="Log in by `wandb login`, or set trackers.wandb.mode=offline and sync later.",
        )
