"""Plans: what is refused, what is kept, how they read, and how they come back from disk."""

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from secateurs import SecateursError
from secateurs.graph import Graph, Plan, trace
from tests.surgery._proof import case
from tests.surgery._state import unchanged


@pytest.fixture
def graph() -> Graph:
    """conv 3 -> 6, conv 6 -> 8, linear 8 -> 4."""
    return case("conv").graph


def test_kept_positions_of_any_path(graph: Graph) -> None:
    plan = graph.plan({"body.0": [1, 4]})
    assert [kept.tolist() for kept in plan.kept("body.0.weight")] == [[0, 2, 3, 5], [0, 1, 2], [0, 1, 2], [0, 1, 2]]
    assert [kept.tolist() for kept in plan.kept("body.1.running_var")] == [[0, 2, 3, 5]]
    assert [kept.tolist() for kept in plan.kept("body.3.weight")][:2] == [list(range(8)), [0, 2, 3, 5]]
    assert plan.kept("body.1.num_batches_tracked") == ()
    with pytest.raises(SecateursError, match=r"body\.9\.weight: wanted a parameter or buffer .*Check the name"):
        plan.kept("body.9.weight")


def test_kept_of_a_tied_path_is_that_of_the_first() -> None:
    graph = case("shared_weight").graph
    plan = graph.plan({"first": [0, 7]})
    assert [kept.tolist() for kept in plan.kept("right.weight")] == [[1, 2, 3, 4, 5, 6]] * 2


def test_a_flattened_unit_takes_all_its_positions_along() -> None:
    plan = case("flatten_view").graph.plan({"first": [2]})
    assert plan.kept("hidden.weight")[1].tolist() == [i for i in range(24) if not 8 <= i < 12]
    plan = case("flatten_last").graph.plan({"first": [2]})
    assert plan.kept("hidden.weight")[1].tolist() == [i for i in range(24) if i % 6 != 2]


@pytest.mark.parametrize(
    "given", [[1, 4], (4, 1), {1, 4}, [4, 1, 1], torch.tensor([1, 4]), np.array([1, 4]), range(1, 5, 3)]
)
def test_units_come_in_any_form(graph: Graph, given: Any) -> None:
    assert graph.plan({"body.0": given}).removed == {"body.0": (1, 4)}


def test_nothing_removed_is_an_empty_plan(graph: Graph) -> None:
    plan = graph.plan({"body.0": []})
    assert (plan.removed, plan.cuts, plan.edits) == ({}, (), ())
    assert plan.cost == plan.before == graph.cost()


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": (
        {"body.1": [0]},
        r"axis 'body\.1': wanted the name of an axis, got no such axis\. Did you mean 'body\.\d'",
    ),
    "out_of_range": ({"body.0": [6]}, r"axis 'body\.0': wanted unit indices from 0 to 5, got 6\. Remove"),
    "negative": ({"body.0": [-1]}, r"axis 'body\.0': wanted unit indices from 0 to 5, got -1\."),
    "bool": ({"body.0": [True]}, r"axis 'body\.0': wanted integer unit indices, got True\. Pass"),
    "float": ({"body.0": [1.0]}, r"axis 'body\.0': wanted integer unit indices, got 1\.0\."),
    "text": ({"body.0": "1"}, r"axis 'body\.0': wanted integer unit indices, got '1'\."),
    "float_tensor": ({"body.0": torch.tensor([1.0])}, r"wanted integer unit indices, got 1\.0"),
    "mask": ({"body.0": torch.tensor([True, False])}, r"wanted integer unit indices, got True"),
    "everything": ({"body.0": range(6)}, r"axis 'body\.0': wanted a unit that stays, got all 6 removed\. Keep"),
    "second_wrong": ({"body.0": [0], "body.3": [99]}, r"axis 'body\.3': wanted unit indices from 0 to 7, got 99"),
    "single_number": ({"body.0": 1}, r"axis 'body\.0'"),
    "scalar_tensor": ({"body.0": torch.tensor(1)}, r"axis 'body\.0'"),
    "nothing": ({"body.0": None}, r"axis 'body\.0'"),
    "table": ({"body.0": torch.tensor([[0, 1]])}, r"axis 'body\.0'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_units_are_refused(graph: Graph, name: str) -> None:
    removed, message = WRONG[name]
    with unchanged(graph.model), pytest.raises(SecateursError, match=message):
        graph.plan(removed)


def test_two_axes_on_one_dim_are_cut_together() -> None:
    graph = case("unequal_split").graph
    plan = graph.plan({"first:channel.1": range(4), "first:channel.2": range(6)})
    assert len(plan.kept("first.weight")[0]) == 2


def test_a_padded_shortcut_keeps_its_count_of_zeros_as_an_attribute() -> None:
    plan = case("pad_shortcut").graph.plan({"block": [0]})
    assert [(edit.name, edit.before, edit.after) for edit in plan.edits if not edit.path] == [("before", 2, 1)]


class Halves(nn.Module):
    """The first half of whatever width is there comes last: equal shares of both halves may go."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        half = x.shape[1] // 2
        out: Tensor = self.last(torch.cat([x[:, half:], x[:, :half]], 1))
        return out


def test_a_cut_that_the_code_cannot_follow_is_refused_with_file_and_line() -> None:
    graph = trace(Halves(), torch.randn(2, 6))
    assert graph.plan({"first:hidden.1": [0], "first:hidden.2": [3]}).removed
    message = r"test_plan\.py:\d+ \(slice\).*: wanted a size of 2, got floordiv\(.*\) = 3\. .* by equal shares"
    with unchanged(graph.model), pytest.raises(SecateursError, match=message):
        graph.plan({"first:hidden.1": [1, 2]})


def test_edits_set_attributes_of_the_code_and_of_layers() -> None:
    plan = case("attention_matmul").graph.plan({"qkv:head": [1], "qkv:head_dim": [0]})
    assert {(edit.path, edit.name, edit.before, edit.after) for edit in plan.edits} == {
        ("", "heads", 3, 2),
        ("", "head_dim", 4, 3),
        ("qkv", "out_features", 36, 18),
        ("proj", "in_features", 12, 6),
    }


def test_plan_reads_as_expected(graph: Graph) -> None:
    assert str(graph.plan({"body.0": [1, 4], "body.3": [0]})).splitlines() == [
        "axis                                       units  removed   kept",
        "body.0                                         6        2      4",
        "body.3                                         8        1      7",
        "params                   656 ->                411  (37.3% removed)",
        "macs                  15,184 ->              9,848  (35.1% removed)",
        "bytes                  5,352 ->              3,360  (37.2% removed)",
    ]


def test_a_plan_is_frozen(graph: Graph) -> None:
    plan = graph.plan({"body.0": [1]})
    with pytest.raises(FrozenInstanceError):
        plan.removed = {}  # type: ignore[misc]


# ---------------------------------------------------------------------- on disk


def test_plan_files_are_equal_and_plain(graph: Graph, tmp_path: Path) -> None:
    plan = graph.plan({"body.0": [1, 4], "body.3": [0]})
    for name in ("one.json", "two.json"):
        plan.save(tmp_path / name)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert Plan.load(tmp_path / "one.json") == plan
    assert Plan.load(str(tmp_path / "one.json")).cost == plan.cost


Tamper = Callable[[dict[str, Any]], Any]


def _set(*keys: Any, value: Any) -> Tamper:
    def tamper(content: dict[str, Any]) -> Any:
        place: Any = content
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        return content

    return tamper


def _without(key: str) -> Tamper:
    return lambda content: {name: value for name, value in content.items() if name != key}


DAMAGED: dict[str, Tamper] = {
    "a list": lambda content: [content],
    "a number": len,
    "another format": _set("format", value=2),
    "no format": _without("format"),
    "no cuts": _without("cuts"),
    "no cost": _without("cost"),
    "cuts as text": _set("cuts", value="all"),
    "a cut of an unknown path": _set("cuts", 0, "path", value="nowhere"),
    "a cut with another key": _set("cuts", 0, "more", value=1),
    "a dim out of range": _set("cuts", 0, "dim", value=7),
    "a negative dim": _set("cuts", 0, "dim", value=-4),
    "a dim that is text": _set("cuts", 0, "dim", value="0"),
    "another size": _set("cuts", 0, "size", value=5),
    "a position out of range": _set("cuts", 0, "removed", value=[6]),
    "a negative position": _set("cuts", 0, "removed", value=[-1]),
    "a boolean position": _set("cuts", 0, "removed", value=[True]),
    "a fractional position": _set("cuts", 0, "removed", value=[1.5]),
    "all positions": _set("cuts", 0, "removed", value=[0, 1, 2, 3, 4, 5]),
    "no positions": _set("cuts", 0, "removed", value=[]),
    "a shape that is text": _set("shapes", "body.0.weight", value="6"),
    "an edit with a fraction": _set("edits", 0, "after", value=1.5),
    "a negative edit": _set("edits", 0, "after", value=-1),
    "an edit that is true": _set("edits", 0, "after", value=True),
    "an edit without a path": _set("edits", 0, "path", value=None),
    "an edit of a private name": _set("edits", 0, "name", value="__class__"),
    "units out of range": _set("removed", "body.0", value=[17]),
    "negative units": _set("removed", "body.0", value=[-1]),
    "units of an unknown axis": _set("removed", "elsewhere", value=[0]),
    "all units": _set("removed", "body.0", value=[0, 1, 2, 3, 4, 5]),
    "a size that is text": _set("sizes", "body.0", value="six"),
    "a cost without macs": _set("cost", value={"params": 1}),
    "a cost of text": _set("cost", "macs", value="many"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_plans_are_refused(graph: Graph, name: str, tmp_path: Path) -> None:
    content = json.loads(json.dumps(graph.plan({"body.0": [1, 4]}).to_json()))
    (tmp_path / "plan.json").write_text(json.dumps(DAMAGED[name](content)))
    with pytest.raises(SecateursError, match=r"plan\.json: wanted a plan written by Plan\.save, got .*Write the plan"):
        Plan.load(tmp_path / "plan.json")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"null", b"[]", b"{}", b'{"format": NaN}', b"[" * 100_000]
)
def test_files_that_are_no_plans_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(SecateursError, match=r"plan\.json: wanted a plan"):
        Plan.load(tmp_path / "plan.json")


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(SecateursError, match="wanted a plan"):
            Plan.load(path)


def test_inputs_of_many_kinds_are_described(tmp_path: Path) -> None:
    class Call(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

        def forward(self, pair: list[Any], *, flag: bool, more: dict[str, Tensor] | None = None) -> Tensor:
            x = pair[0] if flag and pair[1] is None else pair[0] + more["x"]  # type: ignore[index]
            out: Tensor = self.last(torch.relu(self.first(x)))
            return out

    model = Call()
    kwargs = {"flag": True, "more": {"x": torch.ones(2, 6)}}
    plan = trace(model, ([torch.randn(2, 6), None],), kwargs).plan({"first": [0]})
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json").inputs == plan.inputs
