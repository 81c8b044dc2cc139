"""Valid JSON-like values, damaged: keys and items replaced, dropped, doubled, renamed, moved, buried."""

import copy
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

__all__ = ["ODD", "Tree", "damaged_tree", "odd"]


@dataclass(frozen=True)
class Deep:
    """Stands for lists in lists; the value itself cannot even be copied."""

    levels: int


ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    7,
    64,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    10**30,
    10**5000,
    0.0,
    -0.0,
    0.5,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    " ",
    "0",
    "NaN",
    "a\0b",
    "\ud800",
    "x" * 300,
    "y" * 100_000,
    "..",
    "../../x",
    "/etc/passwd",
    "~nobody-of-that-name/x",
    "CON",
    "__class__",
    "é\u202e\u2024",
    "macs",
    "mlp",
    "digits",
    "train",
    [],
    {},
    [None],
    [[]],
    [0] * 3,
    list(range(2000)),
    {"": None},
    {"type": "train"},
    {"__class__": "os.system", "__init__": {"__globals__": 1}},
    Deep(45),
    Deep(1200),
)
"""Values that nobody expects in most places."""


def odd(number: int) -> Any:
    """One of `ODD`, a copy of its own."""
    value = ODD[number % len(ODD)]
    if not isinstance(value, Deep):
        return copy.deepcopy(value)
    nested: Any = 0
    for _ in range(value.levels):
        nested = [nested]
    return nested


_KINDS = ("replace", "replace", "replace", "nudge", "drop", "double", "rename", "add", "move", "wrap")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of a tree, at the node that `place` counts to."""

    kind: str
    place: int
    amount: int

    def __call__(self, tree: Any) -> Any:
        """The tree with the change, made in place where it can be."""
        found = list(_places(tree))
        if not found:
            return odd(self.amount)
        holder, key = found[self.place * len(found) >> 16]
        other_holder, other_key = found[self.amount * 257 * len(found) >> 16]
        match self.kind:
            case "nudge":
                value = holder[key]
                number = isinstance(value, int | float) and not isinstance(value, bool)
                holder[key] = value + (self.amount - 128) // 16 if number else odd(self.amount)
            case "drop":
                del holder[key]
            case "double" if isinstance(holder, list):
                holder.insert(key, holder[key])
            case "rename" if isinstance(holder, dict):
                holder[f"{key}_" if self.amount % 2 else str(key)[:-1]] = holder.pop(key)
            case "add" if isinstance(holder, dict):
                holder[("strange", "__class__", "0", "type", "name", "..", "a\0")[self.amount % 7]] = odd(
                    self.amount // 7
                )
            case "move":
                with suppress(RecursionError):
                    holder[key] = copy.deepcopy(other_holder[other_key])
            case "wrap":
                holder[key] = [holder[key]] if self.amount % 2 else {"a": holder[key]}
            case _:
                holder[key] = odd(self.amount)
        return tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """(holder, key) of every node below the root; without recursion, for the trees may be deep."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        keys: Any = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in list(keys)[:200]:
            found.append((node, key))
            waiting.append(node[key])
    return found


@dataclass(frozen=True)
class Tree:
    """A damaged value, told by how it came about: some of the values are too deep or too long to be printed."""

    original: Any = field(repr=False)
    number: int
    changes: tuple[Change, ...]

    def value(self) -> Any:
        """A copy of its own."""
        tree = copy.deepcopy(self.original)
        for change in self.changes:
            tree = change(tree)
        return tree


def damaged_tree(originals: Sequence[Any], *, most: int = 4) -> st.SearchStrategy[Tree]:
    """One of the values with up to so many changes."""
    change = st.builds(Change, kind=st.sampled_from(_KINDS), place=st.integers(0, 0xFFFF), amount=st.integers(0, 0xFF))
    return st.builds(
        lambda number, changes: Tree(originals[number], number, tuple(changes)),
        st.integers(0, len(originals) - 1),
        st.lists(change, max_size=most),
    )
