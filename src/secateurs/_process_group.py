"""Joining the process group that `torchrun` describes, and what a rank says and hears when one is lost."""

import datetime
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from secateurs._error_values import error_values
from secateurs._errors import ConfigError, RankError, SecateursError

__all__ = ["Place", "control_group", "guarded", "joined", "record_failure"]

# Rank 0 may be alone at work (measuring, drawing, writing) so many times longer than a step may take.
_ALONE = 10
_ARRIVAL = datetime.timedelta(minutes=5)
_FIRST_ERROR = "secateurs/first-error"
# An error is posted before its process ends, so whoever sees the lost connection finds it at once or never.
_SEARCH_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a launcher put this process.

    Attributes:
        rank: among all processes.
        world: how many there are.
        local_rank: among those of this machine.
        local_world: how many there are on this machine.
    """

    rank: int
    world: int
    local_rank: int
    local_world: int

    @classmethod
    def current(cls) -> Self | None:
        """What torchrun says; None where this process was not started by it.

        Raises:
            ConfigError: its variables are not whole numbers.
        """
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        if any(name not in os.environ for name in names):
            return None
        said = {name: os.environ[name] for name in names}
        if not all(value.isdecimal() for value in said.values()):
            raise ConfigError(
                "torchrun",
                wanted="whole numbers in " + ", ".join(names),
                got=str(said),
                cure="Start the command by torchrun, or clear these variables of the environment.",
            )
        numbers = [int(value) for value in said.values()]
        return cls(rank=numbers[0], world=numbers[1], local_rank=numbers[2], local_world=numbers[3])


@dataclass
class _Link:
    """What belongs to the process group that there is now."""

    group: object = None
    control: "dist.ProcessGroup | None" = None
    store: Store | None = None


_link = _Link()


@contextmanager
def joined(*, cuda: bool, timeout_s: float) -> Iterator[None]:
    """The process group of all ranks inside: NCCL on GPUs, gloo elsewhere; nothing where there is one process.

    Args:
        cuda: each rank works on the GPU of its local rank.
        timeout_s: how long a rank waits for the others in one exchange before it gives up.

    Raises:
        RankError: not all ranks came, or one of them failed.
    """
    place = Place.current()
    if place is None or place.world == 1 or dist.is_initialized():
        yield
        return
    if cuda:
        torch.cuda.set_device(place.local_rank)
    store = _arrived(place)
    dist.init_process_group(
        "nccl" if cuda else "gloo",
        store=PrefixStore("secateurs/group", store),
        rank=place.rank,
        world_size=place.world,
        timeout=datetime.timedelta(seconds=timeout_s),
    )
    _link.store = store
    _link.group, _link.control = dist.group.WORLD, _gloo(datetime.timedelta(seconds=_ALONE * timeout_s))
    with guarded():
        yield
    # Not after an error: what others still wait for could keep this rank from ending.
    _link.group = _link.control = _link.store = None
    dist.destroy_process_group()


def control_group() -> dist.ProcessGroup:
    """The gloo group over which ranks agree on things, patient with a rank that is alone at work."""
    if _link.control is None or _link.group is not dist.group.WORLD:  # a group that somebody else has made
        _link.group, _link.control, _link.store = dist.group.WORLD, _gloo(None), None
    return _link.control


@contextmanager
def guarded() -> Iterator[None]:
    """An error inside reaches the other ranks, and what ended them is told here instead of a lost connection.

    Raises:
        RankError: another rank has failed first.
    """
    try:
        yield
    except RankError:
        raise
    except Exception as error:
        if not dist.is_initialized() or dist.get_world_size() == 1:
            raise
        first = _first_error(error)
        if first is None:
            raise
        raise first from error


def record_failure(error: BaseException) -> None:
    """Leave for the launcher what ended this rank, as torch's launcher wants it."""
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if file is None:
        return
    values = error_values(error) if isinstance(error, SecateursError) else {}
    extra = {"timestamp": str(int(time.time())), "secateurs": values, "py_callstack": str(error)}
    content = {"message": {"message": f"{type(error).__name__}: {error}", "extraInfo": extra}}
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(json.dumps(content), encoding="utf-8")


def _arrived(place: Place) -> Store:
    """The launcher's store, once every rank is there: the group's own timeout is too short for slow starts."""
    try:
        store: Store = next(iter(rendezvous("env://", timeout=_ARRIVAL)))[0]
        store.set(f"secateurs/arrived/{place.rank}", "")
        store.wait([f"secateurs/arrived/{rank}" for rank in range(place.world)], _ARRIVAL)
    except (dist.DistError, RuntimeError) as error:
        raise RankError(
            f"rank {place.rank}",
            wanted=f"all {place.world} ranks to start within {_ARRIVAL.seconds} s",
            got=str(error).splitlines()[0],
            cure="Look at the output of the others, and check that all nodes can reach the first one.",
        ) from error
    return store


def _gloo(timeout: datetime.timedelta | None) -> dist.ProcessGroup:
    group = dist.new_group(backend="gloo", timeout=timeout)
    assert isinstance(group, dist.ProcessGroup)  # every rank is a member
    return group


def _first_error(error: Exception) -> RankError | None:
    """What another rank failed by, if it was first; else None, and `error` is what the others will hear of."""
    said = {"rank": dist.get_rank(), "text": f"{type(error).__name__}: {error}"}
    lost = _is_lost(error)
    posted = _search() if lost else _post(said)
    if posted is not None and posted["text"] == said["text"] and dist.get_rank() == 0:
        return None  # all ranks have met the same, and this one tells
    if posted is not None and posted["rank"] != said["rank"]:
        return RankError(
            f"rank {said['rank']}",
            wanted="all ranks to go on",
            got=f"an error on rank {posted['rank']}: {posted['text'].rstrip('.')}",
            cure="Mend that, then go on with --resume.",
        )
    if not lost:
        return None
    return RankError(
        f"rank {said['rank']}",
        wanted="an answer of the other ranks",
        got=f"none ({str(error).splitlines()[0]})",
        cure="One was killed or hangs: look at its output and at the machine's memory, then go on with --resume.",
    )


def _is_lost(error: Exception) -> bool:
    """Whether an exchange with the others failed; gloo has no error of its own."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _post(said: dict[str, Any]) -> dict[str, Any] | None:
    """Say what has happened, unless another rank has been first; what is said now."""
    if _link.store is None:
        return None
    try:
        return _read(_link.store.compare_set(_FIRST_ERROR, "", json.dumps(said)))
    except (dist.DistError, RuntimeError):  # the launcher is gone
        return None


def _search() -> dict[str, Any] | None:
    end = time.monotonic() + _SEARCH_S
    while _link.store is not None:
        try:
            if _link.store.check([_FIRST_ERROR]):
                return _read(_link.store.get(_FIRST_ERROR))
        except (dist.DistError, RuntimeError):
            return None
        if time.monotonic() > end:
            return None
        time.sleep(0.05)
    return None


def _read(content: bytes) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(content)
    return said
