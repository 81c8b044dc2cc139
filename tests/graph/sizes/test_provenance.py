"""Integers that know where they come from: they count like integers, and remember."""

import copy
import math
import operator
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import currentframe
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from secateurs.graph._labels import Label
from secateurs.graph.sizes import _provenance as provenance
from secateurs.graph.sizes._provenance import (
    COMPARISONS,
    Attribute,
    Expression,
    Operation,
    Tagged,
    TensorSize,
    Watcher,
    attributes_in,
    evaluate,
    expression_of,
    labels_in,
    tag_attributes,
    user_frame,
)


def _attribute(value: int, name: str = "width") -> Attribute:
    return Attribute(path="block", name=name, index=None, value=value)


def _tagged(value: int, seen: list[Expression] | None = None, name: str = "width") -> Tagged:
    return Tagged(value, _attribute(value, name), None if seen is None else _noting(seen))


def _noting(seen: list[Expression]) -> Watcher:
    """A watcher that writes down what it is told, but comparisons, and answers the number as it is."""

    def watch(expression: Expression, value: int) -> int:
        if not isinstance(expression, Operation) or expression.function not in COMPARISONS:
            seen.append(expression)
        return value

    return watch


def _refuse(label: Label) -> int:
    raise AssertionError("no tensor size is in this expression")


# ---------------------------------------------------------------------- like an integer

BINARY: tuple[Callable[[Any, Any], Any], ...] = (
    operator.add,
    operator.sub,
    operator.mul,
    operator.floordiv,
    operator.mod,
    operator.truediv,
    operator.pow,
    operator.lshift,
    operator.rshift,
    operator.and_,
    operator.or_,
    operator.xor,
    divmod,
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
)
FOLLOWED = (operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod)
UNARY: tuple[Callable[[Any], Any], ...] = (
    operator.neg,
    operator.pos,
    operator.abs,
    operator.invert,
    operator.index,
    round,
    math.floor,
    math.sqrt,
    int,
    float,
    complex,
    bool,
    str,
    repr,
    hash,
    list[int]().__mul__,
    range,
)


def _outcome(function: Callable[..., Any], *operands: Any) -> Any:
    try:
        return function(*operands)
    except (ZeroDivisionError, TypeError, ValueError) as error:
        return type(error)


@pytest.mark.parametrize("function", BINARY, ids=lambda function: function.__name__)
@pytest.mark.parametrize("other", [0, 1, 3, -2, True, 0.5, -2.0])
def test_it_counts_like_an_integer(function: Callable[[Any, Any], Any], other: float) -> None:
    number, plain = _tagged(6), 6
    assert _outcome(function, number, other) == _outcome(function, plain, other)
    assert _outcome(function, other, number) == _outcome(function, other, plain)
    assert _outcome(function, number, number) == _outcome(function, plain, plain)


@pytest.mark.parametrize("function", UNARY, ids=lambda function: function.__name__)
def test_it_converts_like_an_integer(function: Callable[[Any], Any]) -> None:
    assert function(_tagged(6)) == function(6)


def test_it_stands_wherever_an_integer_does() -> None:
    number = _tagged(3)
    assert [*range(number)] == [0, 1, 2]
    assert "abcd"[number] == "d"
    assert "abcd"[:number] == "abc"
    assert [0] * number == number * [0] == [0, 0, 0]
    assert torch.Size((number, 2)) == torch.Size((3, 2))
    assert torch.zeros(number, 2).view(2, number).shape == (2, 3)
    assert np.zeros(number).shape == (3,)
    assert f"{number:03d} {number}" == "003 3"
    assert {3: "three"}[number] == "three"
    assert isinstance(number, int)


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda number: pickle.loads(pickle.dumps(number))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_duplicates_are_plain(duplicate: Callable[[Any], Any]) -> None:
    number = duplicate(_tagged(6))
    assert type(number) is int
    assert number == 6
    assert [type(item) for item in duplicate([_tagged(6)])] == ([Tagged] if duplicate is copy.copy else [int])


# ---------------------------------------------------------------------- what is remembered


@dataclass(frozen=True)
class Tree:
    """Random arithmetic: a function of an environment, built of operators, names and plain integers."""

    function: Callable[..., Any]
    parts: tuple[Any, ...]

    def compute(self, values: Mapping[str, int]) -> Any:
        """The value where names mean these integers."""
        return self.function(*[_compute(part, values) for part in self.parts])


def _compute(tree: "Tree | str | int", values: Mapping[str, int]) -> Any:
    if isinstance(tree, Tree):
        return tree.compute(values)
    return values[tree] if isinstance(tree, str) else tree


NAMES = ("heads", "inner", "depth")
LEAVES = st.one_of(st.sampled_from(NAMES), st.integers(-4, 12))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda f, a, b: Tree(f, (a, b)), st.sampled_from(FOLLOWED), inner, inner),
        st.builds(lambda a: Tree(operator.neg, (a,)), inner),
    ),
    max_leaves=12,
)
VALUES = st.fixed_dictionaries({name: st.integers(1, 64) for name in NAMES})


@settings(max_examples=300, deadline=None)
@given(tree=TREES, before=VALUES, after=VALUES)
def test_expressions_follow_changed_attributes(
    tree: Tree | str | int, before: dict[str, int], after: dict[str, int]
) -> None:
    tags = {name: _tagged(value, name=name) for name, value in before.items()}
    traced = _outcome(_compute, tree, tags)
    assert traced == _outcome(_compute, tree, before)
    if traced is ZeroDivisionError:
        return
    wanted = _outcome(_compute, tree, after)
    got = evaluate(expression_of(traced), lambda attribute: after[attribute.name], _refuse)
    assert got == (None if wanted is ZeroDivisionError else wanted)
    assert {attribute.name for attribute in attributes_in(expression_of(traced))} <= set(NAMES)


def test_division_by_zero_has_no_value() -> None:
    for expression in (expression_of(12 // _tagged(3)), expression_of(5 + 12 % _tagged(3))):
        assert evaluate(expression, lambda _: 0, _refuse) is None
        assert evaluate(expression, lambda _: 5, _refuse) is not None


def test_tensor_sizes_follow_their_labels() -> None:
    label = np.arange(1, 9)[:, None]
    size = Tagged(8, TensorSize(label, 8), None)
    expression = expression_of(size // _tagged(4) + size)
    assert evaluate(expression, lambda _: 2, lambda asked: 6 if asked is label else -1) == 9
    assert [found is label for found in labels_in(expression)] == [True, True]
    assert [str(attribute) for attribute in attributes_in(expression)] == ["block.width"]
    assert evaluate(7, lambda _: 0, _refuse) == 7
    assert labels_in(7) == attributes_in(7) == []


def test_expressions_are_printed_for_people() -> None:
    assert str(Attribute("block", "width", None, 6)) == "block.width"
    assert str(Attribute("", "shape", 1, 6)) == "shape[1]"
    assert str(TensorSize(np.zeros((6, 1), dtype=np.int64), 6)) == "a tensor's size 6"
    assert str(expression_of(2 * _tagged(6) - 1)) == "sub(mul(2, block.width), 1)"


# ---------------------------------------------------------------------- who watches

QUIET: tuple[Callable[[Any], Any], ...] = (
    *(lambda n, f=f: f(n, 4) for f in FOLLOWED),
    *(lambda n, f=f: f(4, n) for f in FOLLOWED),
    *(lambda n, f=f: f(n, n) for f in FOLLOWED),
    operator.neg,
    range,
    [0].__mul__,
    lambda n: torch.zeros(n),
    lambda n: n < 3,
    str,
)
LOUD: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "sqrt": math.sqrt,
    "/": lambda n: n / 2,
    "1 /": lambda n: 1 / n,
    "**": lambda n: n**2,
    "** float": lambda n: n**-0.5,
    "2 **": lambda n: 2**n,
    "* 0.5": lambda n: n * 0.5,
    "+ 0.5": lambda n: n + 0.5,
    "- 0.5": lambda n: n - 0.5,
    "// 2.0": lambda n: n // 2.0,
    "% 2.0": lambda n: n % 2.0,
    "sum / 2": lambda n: (n + 2) / 2,
}


@pytest.mark.parametrize("index", range(len(QUIET)))
def test_sizes_computed_from_sizes_are_not_reported(index: int) -> None:
    seen: list[Expression] = []
    QUIET[index](_tagged(6, seen))
    assert seen == []


@pytest.mark.parametrize("index", range(3 * len(FOLLOWED)))
def test_sizes_computed_from_sizes_keep_the_watcher(index: int) -> None:
    seen: list[Expression] = []
    result = QUIET[index](_tagged(6, seen))
    assert isinstance(result, Tagged)
    assert isinstance(result.expression, Operation)
    float(result)
    assert seen == [result.expression]


@pytest.mark.parametrize("name", LOUD)
def test_a_size_used_as_a_number_is_reported(name: str) -> None:
    seen: list[Expression] = []
    result = LOUD[name](_tagged(6, seen))
    assert result == LOUD[name](6)
    assert len(seen) == 1
    assert attributes_in(seen[0]) == [_attribute(6)]


@pytest.mark.parametrize(("other", "compared"), [(6, operator.eq), (4, operator.ne), (_tagged(4), operator.ne)])
def test_comparisons_are_reported_with_their_outcome(other: int, compared: Callable[..., bool]) -> None:
    seen: list[Expression] = []

    def watch(expression: Expression, value: int) -> int:
        seen.append(expression)
        return value

    number = Tagged(6, _attribute(6), watch)
    assert (number == other) == (compared is operator.eq)
    assert (number != other) == (compared is operator.ne)
    assert [isinstance(found, Operation) and found.function for found in seen] == [compared, compared]
    assert number != "six"
    assert len(seen) == 2


def test_both_sizes_of_a_quotient_are_reported() -> None:
    seen: list[Expression] = []
    assert _tagged(6, seen, "above") / _tagged(3, seen, "below") == 2
    assert seen == [_attribute(6, "above"), _attribute(3, "below")]


def test_nobody_needs_to_watch() -> None:
    assert _tagged(6) / 4 == 1.5


@pytest.mark.parametrize("name", LOUD)
def test_the_watcher_says_which_number_it_is(name: str) -> None:
    def after(expression: Expression, _value: int) -> int:
        return evaluate(expression, lambda _: 4, _refuse) or 0

    assert LOUD[name](Tagged(6, _attribute(6), after)) == LOUD[name](4)


class _Settings:
    """A configuration as users write it."""

    def __init__(self) -> None:
        self.width, self.shape, self.text, self._hidden = 6, (2, 3), "six", 4


def test_sizes_in_plain_objects_are_tagged_under_dotted_names_and_put_back() -> None:
    settings_, block = _Settings(), nn.Module()
    before = dict(vars(settings_))
    vars(block).update(config=settings_, same=settings_)
    undo = tag_attributes(nn.Sequential(block), lambda _, value: value)
    assert isinstance(settings_.width, Tagged)
    assert settings_.width.expression == Attribute("0", "config.width", None, 6)
    assert isinstance(settings_.shape[1], Tagged)
    assert type(settings_._hidden) is int
    undo()
    assert {name: type(value) for name, value in vars(settings_).items()} == {n: type(v) for n, v in before.items()}


def test_floats_on_the_left_and_logarithms_go_unseen() -> None:
    """Python reads a subclass of `int` here without asking it: only comparing outputs finds these uses."""
    seen: list[Expression] = []
    number = _tagged(4, seen)
    assert [0.5 * number, 1.0 / number, 1.0 + number, math.log2(number)] == [2.0, 0.25, 5.0, 2.0]
    assert seen == []


# ---------------------------------------------------------------------- where it was


def _line() -> str:
    frame = currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return f"{__file__}:{frame.f_back.f_lineno}"


def test_the_frame_of_user_code_is_this_line() -> None:
    assert user_frame() == _line()


@pytest.mark.parametrize("file", [torch.__file__, provenance.__file__], ids=["torch", "graph"])
def test_frames_of_torch_and_of_the_tracing_are_passed_over(file: str) -> None:
    asked = compile("user_frame()", str(Path(file).parent / "deep" / "made_up.py"), "eval")
    assert eval(asked, {"user_frame": user_frame}) == _line()
    called = compile("call()", str(Path(file).parent / "made_up.py"), "eval")
    assert eval(called, {"call": lambda: user_frame()}) == _line()


def test_packages_named_like_torch_are_user_code() -> None:
    file = str(Path(torch.__file__).parent.with_name("torchvision") / "made_up.py")
    assert eval(compile("user_frame()", file, "eval"), {"user_frame": user_frame}) == f"{file}:1"


# ---------------------------------------------------------------------- attributes


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.width, self.shape, self.size = 6, (2, 3), torch.Size((4, 5))
        self.flag, self.zero, self.negative, self.text, self.ratio = True, 0, -1, "6", 6.0
        self.empty, self.mixed, self.padded, self.listed = (), (2, "a"), (0, 2), [2, 3]
        self._private = 6
        self.norm = nn.LayerNorm((8,))


UNTOUCHED = ("flag", "zero", "negative", "text", "ratio", "empty", "mixed", "padded", "_private")


def test_positive_integers_and_tuples_of_them_are_tagged() -> None:
    block: Any = _Block()
    model = nn.Sequential(block)
    before = {name: vars(block)[name] for name in UNTOUCHED}
    seen: list[Expression] = []
    tag_attributes(model, _noting(seen))
    assert (block.width, block.shape, block.size) == (6, (2, 3), (4, 5))
    assert block.width.expression == Attribute("0", "width", None, 6)
    assert [item.expression for item in block.shape] == [
        Attribute("0", "shape", 0, 2),
        Attribute("0", "shape", 1, 3),
    ]
    assert all(type(item) is Tagged for item in (*block.size, *block.listed))
    assert type(block.listed) is list
    assert block.norm.normalized_shape[0].expression == Attribute("0.norm", "normalized_shape", 0, 8)
    for name, value in before.items():
        assert vars(block)[name] is value
    assert type(block.training) is bool
    float(block.shape[1])
    assert seen == [Attribute("0", "shape", 1, 3)]


def test_tagging_changes_no_result() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(36, 2))
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    before = model(x)
    tag_attributes(model, lambda _, value: value)
    torch.testing.assert_close(model(x), before, rtol=0, atol=0)
    assert isinstance(vars(model[3])["in_features"], Tagged)


def test_a_shared_module_is_tagged_once_under_its_first_name() -> None:
    linear = nn.Linear(2, 2)
    tag_attributes(nn.ModuleDict({"first": linear, "second": linear}), lambda _, value: value)
    assert isinstance(linear.in_features, Tagged)
    assert linear.in_features.expression == Attribute("first", "in_features", None, 2)
