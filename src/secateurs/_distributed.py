"""Values across the ranks of a run: sums, what rank 0 says, and whether all agree.

Everything here does nothing outside a process group, so that no caller needs to ask how many ranks there are. Inside
one, every rank must make the same calls in the same order. No value is pickled: tensors travel as they are and
everything else as JSON.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from secateurs._error_values import error_from, error_values
from secateurs._errors import SecateursError, TrainingError
from secateurs._process_group import control_group

__all__ = [
    "all_reduce",
    "any_rank",
    "average",
    "barrier",
    "broadcast",
    "broadcast_tensors",
    "check_close",
    "check_same",
    "decided",
    "fingerprint",
    "gather",
    "is_first",
    "rank",
    "world",
]

T = TypeVar("T")


def rank() -> int:
    """This process among all; 0 outside a process group."""
    return dist.get_rank() if _grouped() else 0


def world() -> int:
    """How many processes run this together; 1 outside a process group."""
    return dist.get_world_size() if _grouped() else 1


def is_first() -> bool:
    """Whether this is the rank that writes files and talks."""
    return rank() == 0


def all_reduce(tensors: Iterable[Tensor], op: Literal["sum", "max", "min"] = "sum") -> None:
    """Put the sum (or maximum, minimum) over all ranks into each tensor, in place: one exchange per dtype and device.

    Every rank ends with the same bits. What is not a sum of something over images (a mean, a root, a score) must be
    made from sums after they were reduced: the mean of the ranks' roots is not the root of their mean.
    """
    if world() == 1:
        return
    kinds = defaultdict(list)
    for tensor in tensors:
        kinds[tensor.dtype, tensor.device].append(tensor.detach())
    operation = {"sum": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX, "min": dist.ReduceOp.MIN}[op]
    for (_, device), group in kinds.items():
        flat = torch.cat([tensor.reshape(-1) for tensor in group])
        dist.all_reduce(flat, op=operation, group=_group_for(device))
        _unflatten(flat, group)


def average(tensors: Iterable[Tensor]) -> None:
    """Put the mean over all ranks into each floating-point tensor, in place."""
    if world() == 1:
        return
    kept = [tensor.detach() for tensor in tensors]
    all_reduce(kept)
    for tensor in kept:
        tensor.div_(world())


def broadcast_tensors(tensors: Iterable[Tensor]) -> None:
    """Put rank 0's values into each tensor of every rank, in place: one exchange per dtype and device."""
    if world() == 1:
        return
    kinds = defaultdict(list)
    for tensor in tensors:
        kinds[tensor.dtype, tensor.device].append(tensor.detach())
    for (_, device), group in kinds.items():
        # As bytes: not every backend knows every dtype.
        flat = torch.cat([tensor.reshape(-1) for tensor in group])
        dist.broadcast(flat.view(torch.uint8), src=0, group=_group_for(device))
        _unflatten(flat, group)


def barrier() -> None:
    """Wait until every rank is here; rank 0 may have long to write, measure or draw."""
    if world() > 1:
        dist.barrier(group=control_group())


def broadcast(value: Any) -> Any:
    """Rank 0's `value`, as JSON types, on every rank; what the others pass is not looked at."""
    text = json.dumps(value) if is_first() else ""
    if world() == 1:
        return json.loads(text)
    length = torch.tensor([len(text.encode())])
    dist.broadcast(length, src=0, group=control_group())
    content = torch.zeros(int(length), dtype=torch.uint8)
    if is_first():
        content = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    dist.broadcast(content, src=0, group=control_group())
    return json.loads(bytes(content.tolist()))


def decided(make: Callable[[], T]) -> T:
    """What rank 0 makes, as JSON types, on every rank; an error of ours that it meets is raised on every rank.

    Outside a process group this is `make()`, with nothing turned into JSON types.
    """
    if world() == 1:
        return make()
    answer: dict[str, Any] = {}
    failure: SecateursError | None = None
    if is_first():
        try:
            answer = {"value": make()}
        except SecateursError as error:
            failure, answer = error, {"error": error_values(error)}
    answer = broadcast(answer)
    if "error" in answer:
        raise failure or error_from(answer["error"])
    value: T = answer["value"]
    return value


def gather(value: Any) -> list[Any]:
    """Every rank's `value`, as JSON types, by rank, on every rank."""
    mine = json.dumps(value).encode()
    if world() == 1:
        return [json.loads(mine)]
    length = torch.tensor([len(mine)])
    all_reduce([length], "max")
    padded = torch.frombuffer(bytearray(mine.ljust(int(length))), dtype=torch.uint8)
    found = [torch.empty_like(padded) for _ in range(world())]
    dist.all_gather(found, padded, group=control_group())
    return [json.loads(bytes(each.tolist())) for each in found]


def any_rank(flag: bool) -> bool:
    """Whether `flag` is true on at least one rank."""
    votes = torch.tensor([int(flag)])
    all_reduce([votes], "max")
    return bool(votes)


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bits."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        plain = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}:{plain.dtype}:{list(plain.shape)}:".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_same(what: str, tensors: Mapping[str, Tensor]) -> None:
    """Refuse to go on where ranks hold other tensors than rank 0 does.

    Raises:
        TrainingError: on every rank, naming those that differ.
    """
    if world() == 1:
        return
    prints = gather(fingerprint(tensors))
    strange = [str(number) for number, each in enumerate(prints) if each != prints[0]]
    if strange:
        raise TrainingError(
            what,
            wanted=f"the same on all {world()} ranks",
            got=f"other values on rank {', '.join(strange)} than on rank 0",
            cure="Something that runs on every rank draws its own random numbers or looks at its rank; make it equal.",
        )


def check_close(what: str, tensors: Mapping[str, Tensor], tolerance: float = 1e-4) -> None:
    """Refuse to go on where ranks have come to other numbers, beyond rounding on each of them.

    Raises:
        TrainingError: on every rank; not for numbers that are equal up to `tolerance` of the largest in their tensor.
    """
    if world() == 1:
        return
    highest, lowest = ({name: value.detach().double() + 0 for name, value in tensors.items()} for _ in range(2))
    all_reduce(highest.values(), "max")
    all_reduce(lowest.values(), "min")
    for name, high in highest.items():
        scale = torch.maximum(high.abs(), lowest[name].abs()).amax() if high.numel() else high.sum()
        if bool(((high - lowest[name]) > tolerance * scale).any()):
            raise TrainingError(
                f"{what}: {name}",
                wanted=f"the same on all {world()} ranks",
                got="numbers that differ from rank to rank",
                cure="Add sums over images up with secateurs._distributed.all_reduce, or draw random numbers by a key.",
            )


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized()


def _group_for(device: torch.device) -> dist.ProcessGroup | None:
    # NCCL moves nothing that is not on a GPU; None is the group of all.
    return control_group() if device.type == "cpu" and dist.get_backend() != "gloo" else None


def _unflatten(flat: Tensor, tensors: list[Tensor]) -> None:
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view(tensor.shape))
