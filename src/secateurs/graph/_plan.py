"""Plans: what goes, decided and checked, as plain data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from secateurs._errors import PlanError
from secateurs._files import write_json
from secateurs._json import read_json
from secateurs.graph._cost import Cost
from secateurs.graph._html import cost_rows, page, table
from secateurs.graph._plan_check import check_plan, integers

__all__ = ["Cut", "Edit", "Plan", "Renumber", "Scatter"]

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Positions that one dim of a parameter or buffer loses."""

    path: str
    dim: int
    size: int
    removed: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """An integer attribute of a module, or one element of a tuple of them, that gets a new value."""

    path: str
    name: str
    index: int | None
    before: int
    after: int

    def check(self) -> None:
        """Refuse what no trace would have made: only sizes in public attributes are ever set.

        Raises:
            ValueError: with the edit.
        """
        texts = isinstance(self.path, str) and isinstance(self.name, str)
        private = texts and any(part.startswith("_") for part in self.name.split("."))
        numbers = (self.before, self.after, 0 if self.index is None else self.index)
        if not texts or private or any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError(f"an edit that no plan has: {self}")


@dataclass(frozen=True, kw_only=True)
class Renumber:
    """A buffer whose values count the positions of a dim that loses some.

    Every value goes down by the number of removed positions below it.
    """

    path: str
    removed: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """A module whose output, narrow after the cut, gets zeros in between so that it is as wide as its stream.

    Attributes:
        path: of the module.
        dim: of its output, counted from the back.
        size: of that dim behind the scatter.
        kept: the places that the narrow output goes to, ascending.
    """

    path: str
    dim: int
    size: int
    kept: tuple[int, ...]

    def check(self) -> None:
        """Refuse what no trace would have made.

        Raises:
            ValueError: with the scatter.
        """
        numbers = type(self.dim) is int and self.dim < 0 and type(self.size) is int
        ascending = all(low < high for low, high in zip(self.kept, self.kept[1:], strict=False))
        if not isinstance(self.path, str) or not self.path or not numbers or not self.kept or not ascending:
            raise ValueError(f"a scatter that no plan has: {self}")
        if self.kept[0] < 0 or self.kept[-1] >= self.size or len(self.kept) == self.size:
            raise ValueError(f"a scatter to places that do not fit: {self}")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is removed from a model, and everything that carrying it out needs.

    Attributes:
        removed: axis name to the removed units, ascending.
        sizes: axis name to its size before the cut, for every axis of the graph.
        cuts: positions removed from parameters and buffers.
        edits: attributes to set.
        renumbered: index buffers whose values follow the cut of the dim that they count.
        scatters: modules whose cut outputs are widened again, for units that one producer of a sum lost alone.
        replaced: paths of `nn.MultiheadAttention` modules that make way for one with free inner sizes.
        shapes: shape of every parameter and buffer before the cut.
        aliases: paths of tied tensors to the path that `cuts` uses for them.
        inputs: shapes and types of the traced arguments, as JSON.
        before, cost: the model's cost before and after.
    """

    removed: Mapping[str, tuple[int, ...]]
    sizes: Mapping[str, int]
    cuts: tuple[Cut, ...]
    edits: tuple[Edit, ...]
    renumbered: tuple[Renumber, ...] = ()
    scatters: tuple[Scatter, ...] = ()
    replaced: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    aliases: Mapping[str, str]
    inputs: Any
    before: Cost
    cost: Cost
    graph: Any = field(default=None, repr=False, compare=False)
    """The graph it was made from, while that is at hand; not saved."""

    def kept(self, path: str) -> tuple[Tensor, ...]:
        """The positions that stay, one int64 tensor per dim, for any parameter or buffer path.

        Raises:
            PlanError: the model has no such parameter or buffer, or one whose positions do not fit into memory.
        """
        canonical = self.aliases.get(path, path)
        if canonical not in self.shapes:
            raise PlanError(
                path, wanted="a parameter or buffer of the planned model", got="an unknown path", cure="Check the name."
            )
        try:
            kept = [torch.arange(size) for size in self.shapes[canonical]]
        except RuntimeError as error:  # a plan from a file may claim any size; a model of that size tells
            shape, cure = self.shapes[canonical], "Check the plan against its model by apply."
            raise PlanError(path, wanted="a tensor that fits into memory", got=f"shape {shape}", cure=cure) from error
        for cut in self.cuts:
            if cut.path == canonical:
                stays = torch.ones(cut.size, dtype=torch.bool)
                stays[list(cut.removed)] = False
                kept[cut.dim] = kept[cut.dim][stays]
        return tuple(kept)

    def __str__(self) -> str:
        rows = [f"{'axis':<40}{'units':>8}{'removed':>9}{'kept':>7}"]
        for name, size in self.sizes.items():
            gone = len(self.removed.get(name, ()))
            if gone:
                rows.append(f"{name:<40}{size:>8}{gone:>9}{size - gone:>7}")
        for name in ("params", "macs", "bytes"):
            dense, small = getattr(self.before, name), getattr(self.cost, name)
            ratio = 1 - small / dense if dense else 0.0
            rows.append(f"{name:<10}{dense:>18,} -> {small:>18,}  ({ratio:.1%} removed)")
        return "\n".join(rows)

    def _repr_html_(self) -> str:
        """Tables, where a notebook shows the plan."""
        counts = ((name, size, len(self.removed.get(name, ()))) for name, size in self.sizes.items())
        rows = [(name, size, gone, size - gone, f"{gone / size:.1%}") for name, size, gone in counts if gone]
        return page(
            table("cost", ("figure", "before", "after", "removed"), cost_rows(asdict(self.before), asdict(self.cost))),
            table(f"{len(rows)} axes lose units", ("axis", "units", "removed", "kept", "ratio"), rows),
        )

    def save(self, path: str | Path) -> None:
        """Write the plan as JSON."""
        write_json(Path(path), self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> "Plan":
        """Read a plan that `save` wrote.

        Raises:
            PlanError: no such file, or not a plan.
        """
        try:
            content = read_json(Path(path))
        except (OSError, ValueError) as error:
            raise PlanError(str(path), wanted="a plan written by Plan.save", got=str(error), cure=_CURE) from error
        return cls.from_json(content, where=str(path))

    def to_json(self) -> dict[str, Any]:
        """The plan as a JSON object."""
        content: dict[str, Any] = {"format": _FORMAT, "removed": dict(self.removed), "sizes": dict(self.sizes)}
        content["cuts"] = [asdict(cut) for cut in self.cuts]
        content["edits"] = [asdict(edit) for edit in self.edits]
        content["renumbered"] = [asdict(entry) for entry in self.renumbered]
        content["scatters"] = [asdict(scatter) for scatter in self.scatters]
        content["replaced"] = list(self.replaced)
        content["shapes"] = {path: list(shape) for path, shape in self.shapes.items()}
        content["aliases"], content["inputs"] = dict(self.aliases), self.inputs
        content["before"], content["cost"] = self.before.to_json(), self.cost.to_json()
        return content

    @classmethod
    def from_json(cls, content: Any, *, where: str = "plan") -> "Plan":
        """The inverse of `to_json`; every field is checked.

        Raises:
            PlanError: a field is missing, of the wrong type, or out of range.
        """
        try:
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']}")
            plan = cls(
                removed={str(k): integers(v) for k, v in content["removed"].items()},
                sizes={str(k): v for k, v in content["sizes"].items()},
                cuts=tuple(Cut(**{**cut, "removed": integers(cut["removed"])}) for cut in content["cuts"]),
                edits=tuple(Edit(**edit) for edit in content["edits"]),
                renumbered=tuple(
                    Renumber(path=entry["path"], removed=integers(entry["removed"]))
                    for entry in content.get("renumbered", [])
                ),
                scatters=tuple(
                    Scatter(**{**scatter, "kept": integers(scatter["kept"])}) for scatter in content.get("scatters", [])
                ),
                replaced=tuple(map(_text, content["replaced"])),
                shapes={str(k): integers(v) for k, v in content["shapes"].items()},
                aliases={str(k): _text(v) for k, v in content["aliases"].items()},
                inputs=content["inputs"],
                before=Cost.from_json(content["before"]),
                cost=Cost.from_json(content["cost"]),
            )
            check_plan(plan)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise PlanError(where, wanted="a plan written by Plan.save", got=repr(error), cure=_CURE) from error
        return plan


_CURE = "Write the plan again with Plan.save."


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a path wanted, got {value!r:.60}")
    return value
