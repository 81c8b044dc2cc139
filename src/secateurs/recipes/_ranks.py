"""A recipe on several ranks: whether they are started here or were already, and what each of them may do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from secateurs import _distributed
from secateurs._errors import ConfigError
from secateurs._files import writing_nothing
from secateurs._process_group import Place, joined
from secateurs.recipes._config import Recipe
from secateurs.recipes._run import RunOptions

__all__ = ["as_rank", "speaks", "starts_ranks"]


def speaks() -> bool:
    """Whether this process tells people about a run: of several ranks, only the first does."""
    place = Place.current()
    return place is None or place.rank == 0


def starts_ranks(recipe: Recipe) -> bool:
    """Whether this process has to start the ranks that the recipe wants, and is none of them itself.

    Raises:
        ConfigError: other ranks than the recipe wants, or devices that are not there.
    """
    place, wanted = Place.current(), recipe.devices * recipe.nodes
    _check_devices(recipe)
    if place is None:
        if recipe.nodes > 1:
            raise ConfigError(
                "nodes",
                wanted="a start by torchrun on every node",
                got=f"nodes: {recipe.nodes}, and no torchrun",
                cure=f"On each node: torchrun --nnodes {recipe.nodes} --nproc-per-node {recipe.devices} "
                "--rdzv-backend c10d --rdzv-endpoint FIRST_NODE:29500 -m secateurs run ...",
            )
        return wanted > 1
    if (place.world, place.local_world) != (wanted, recipe.devices):
        raise ConfigError(
            "devices",
            wanted=f"devices: {place.local_world} and nodes: {place.world // place.local_world}, as torchrun started",
            got=f"devices: {recipe.devices} and nodes: {recipe.nodes}",
            cure="Change the recipe or torchrun's --nproc-per-node and --nnodes.",
        )
    return False


@contextmanager
def as_rank(recipe: Recipe, out: Path, options: RunOptions) -> Iterator[tuple[Path, RunOptions]]:
    """Inside, this process is one of the recipe's ranks: rank 0 chooses the directory, writes and talks."""
    with joined(cuda=_on_gpus(recipe), timeout_s=recipe.timeout_s):
        place = Path(_distributed.decided(lambda: str(out)))
        if _distributed.is_first():
            yield place, options
            return
        with writing_nothing():
            yield place, replace(options, progress=False, notify=_nobody)


def _nobody(_line: str) -> None:
    """Rank 0 has said it."""


def _on_gpus(recipe: Recipe) -> bool:
    return recipe.device.startswith("cuda") or (recipe.device == "auto" and torch.cuda.is_available())


def _check_devices(recipe: Recipe) -> None:
    if recipe.devices * recipe.nodes == 1:
        return
    if ":" in recipe.device or recipe.device == "mps":
        raise ConfigError(
            "device",
            wanted="auto, cuda or cpu with several devices",
            got=repr(recipe.device),
            cure="Leave device out, or set devices to 1.",
        )
    if _on_gpus(recipe) and recipe.devices > torch.cuda.device_count():
        raise ConfigError(
            "devices",
            wanted=f"at most the {torch.cuda.device_count()} GPUs of this machine",
            got=str(recipe.devices),
            cure="Ask for fewer devices, or set device: cpu.",
        )
    if recipe.batches.size < recipe.devices * recipe.nodes:
        raise ConfigError(
            "batches.size",
            wanted=f"at least one image for each of {recipe.devices * recipe.nodes} ranks; it is that of all together",
            got=str(recipe.batches.size),
            cure="Make batches larger, or ask for fewer devices.",
        )
