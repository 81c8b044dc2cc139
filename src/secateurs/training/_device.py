"""Which device, and what runs on it."""

import logging
from typing import TYPE_CHECKING, Literal

import torch

from secateurs._errors import ConfigError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["make_fabric", "resolve_device"]


def resolve_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: no such device, or none here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _no_device(name, "no device that torch knows") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise _no_device(name, f"{torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise _no_device(name, "no MPS")
    return device


def make_fabric(device: torch.device, precision: Literal["32", "bf16"], *, devices: int = 1) -> "Fabric":
    """The engine that places, casts and (with `devices` above 1) would distribute.

    Raises:
        ConfigError: Lightning Fabric is not installed.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise ConfigError(
            "training",
            wanted="the package lightning-fabric",
            got=str(error),
            cure="Install it: pip install 'secateurs[train]'.",
        ) from error
    # Its notes on precision and hardware would break a progress bar; its warnings stay.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    chosen: int | list[int] = devices if device.index is None or device.type == "cpu" else [device.index]
    fabric = Fabric(
        accelerator=device.type, devices=chosen, precision="bf16-mixed" if precision == "bf16" else "32-true"
    )
    fabric.launch()
    return fabric


def _no_device(name: str, got: str) -> ConfigError:
    return ConfigError(
        "device", wanted=f"a device {name!r} on this machine", got=got, cure="Use 'auto', 'cpu' or 'cuda:<number>'."
    )
