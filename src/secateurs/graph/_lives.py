"""How long each allocation of a traced call lives, also where a plan puts a scatter in."""

from bisect import bisect_left
from typing import NamedTuple

from secateurs.graph._labels import Label
from secateurs.graph._record import Branch, Record, Storage

__all__ = ["Life", "lives_of"]


class Life(NamedTuple):
    """`factor` bytes times the kept sizes of `labels`, from time `born` to `last`."""

    factor: int
    labels: tuple[Label, ...]
    born: int
    last: int
    when: int = 0
    """0 always, k only where branch k has lost units of its own, -k only where it has not."""


def lives_of(record: Record) -> list[Life]:
    """Every allocation of a trace, in a time that has room for the scatter of every branch.

    A scatter takes one step of time behind its module's last operator: the narrow output and the wide one are both
    there then. Without it, the wide one is made at once, and nothing happens in that step.
    """
    starts = sorted(branch.operator for branch in record.branches)
    numbers = {id(branch.storage): number for number, branch in enumerate(record.branches, start=1)}
    lives = []
    for storage in record.storages.values():
        if not storage.factor:
            continue
        born = storage.born + bisect_left(starts, storage.born)
        end = min(storage.last, record.operators)
        last = end + bisect_left(starts, end)
        number = numbers.get(id(storage))
        if number is None:
            lives.append(Life(factor=storage.factor, labels=storage.labels, born=born, last=last))
        else:
            branch = record.branches[number - 1]
            step = branch.operator + bisect_left(starts, branch.operator) + 1
            lives += _scattered(storage, branch, number, (born, step, last))
    return lives


def _scattered(storage: Storage, branch: Branch, number: int, times: tuple[int, int, int]) -> list[Life]:
    born, step, last = times
    narrow = tuple(branch.narrow if label is branch.wide else label for label in storage.labels)
    wide, factor = storage.labels, storage.factor
    return [
        Life(factor=factor, labels=wide, born=born, last=step - 1, when=-number),
        Life(factor=factor, labels=narrow, born=born, last=step, when=number),
        Life(factor=factor, labels=wide, born=step, last=max(step, last)),
    ]
