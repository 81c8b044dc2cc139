"""Plans: files that load, and loaded plans that are applied: refused, or right."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from secateurs import SecateursError
from secateurs.graph import Graph, Plan, trace
from secateurs.surgery import apply, masked, relative_error, tensors_in
from tests.fuzz._bytes import damaged
from tests.fuzz._target import Target
from tests.fuzz._trees import Tree, damaged_tree
from tests.surgery._proof import third
from tests.surgery._state import unchanged
from tests.zoo import ZOO

__all__ = ["MODELS", "TARGETS", "Example", "read_plan"]

# Cuts, renumbered buffers, scatters, replaced attention, states of recurrent layers.
MODELS = ("residual", "reorder_twice", "branch_read_twice", "lstm_projected", "multihead_self")


@dataclass(frozen=True)
class Example:
    """A model of the zoo, what may be cut in it, and a plan as JSON."""

    model: nn.Module
    graph: Graph
    args: tuple[Any, ...]
    content: Any

    @classmethod
    def of(cls, name: str) -> "Example":
        torch.manual_seed(0)
        entry = ZOO[name]
        model = entry.build().double().eval()
        args = tuple(arg.double() if isinstance(arg, Tensor) else arg for arg in entry.arguments(2))
        graph = trace(model, args)
        content = json.loads(json.dumps(graph.plan(third(graph)).to_json()))
        return cls(model, graph, args, content)


_EXAMPLES = [Example.of(name) for name in MODELS]
_CONTENTS = [example.content for example in _EXAMPLES]
_BYTES = [json.dumps(content, indent=2).encode() for content in _CONTENTS]


def read_plan(plan: Plan, folder: Path) -> None:
    """A plan that was taken is whole: it prints, it tells what stays, and it is saved and read back."""
    assert str(plan)
    for cut in plan.cuts:
        kept = plan.kept(cut.path)[cut.dim]
        assert len(kept) == cut.size - len(cut.removed)
    plan.save(folder / "again.json")
    assert Plan.load(folder / "again.json") == plan


def _file(content: bytes, folder: Path) -> None:
    (folder / "plan.json").write_bytes(content)
    read_plan(Plan.load(folder / "plan.json"), folder)


def _written(case: Tree) -> bytes:
    try:
        return json.dumps(case.value()).encode()
    except (ValueError, RecursionError):  # what JSON cannot say cannot be in the file
        return b""


def _tree(case: Tree, folder: Path) -> None:
    _file(_written(case), folder)


def _applied(case: tuple[Tree, bool], folder: Path) -> None:
    tree, inplace = case
    example = _EXAMPLES[tree.number]
    (folder / "plan.json").write_bytes(_written(tree))
    plan = Plan.load(folder / "plan.json")
    model = ZOO[MODELS[tree.number]].build().double().eval() if inplace else example.model
    if inplace:
        model.load_state_dict(example.model.state_dict())
    try:
        with unchanged(example.model):
            smaller = apply(model, plan, inplace=inplace).model
    except SecateursError:
        if inplace:
            assert all(map(torch.equal, model.state_dict().values(), example.model.state_dict().values()))
        raise
    with torch.no_grad():
        found = list(tensors_in(smaller(*example.args)))
        # Not the plan from the file: that of a trace which knows no file.
        with masked(example.model, example.graph.plan(plan.removed)) as reference:
            wanted = list(tensors_in(reference(*example.args)))
    assert relative_error(wanted, found) < 1e-9


TARGETS: Mapping[str, Target] = {
    "plan bytes": Target(cases=damaged(_BYTES), check=_file),
    "plan values": Target(cases=damaged_tree(_CONTENTS, most=3), check=_tree, fast=100),
    "plan applied": Target(cases=st.tuples(damaged_tree(_CONTENTS, most=2), st.booleans()), check=_applied, fast=80),
}
