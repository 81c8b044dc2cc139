"""Ways to call a model, and what it returns: every one is traced, cut and proved, and nothing given is changed."""

import dataclasses
from collections import OrderedDict, UserDict
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import SecateursError, cost, latency
from secateurs.graph import Graph, trace
from secateurs.graph.model._structure import map_tensors
from secateurs.surgery import apply


class Pair(NamedTuple):
    """A named tuple of arguments."""

    x: Tensor
    scale: float


@dataclasses.dataclass
class Batch:
    """A dataclass of arguments."""

    x: Tensor
    more: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    """A dataclass without a dictionary."""

    x: Tensor


class Plain:
    """An object of a class of the user's own."""

    def __init__(self, x: Tensor) -> None:
        self.x = x


class Net(nn.Module):
    """Two layers, on whatever `read` finds in the arguments."""

    def __init__(self, read: Callable[..., Tensor], give: Callable[[Tensor], Any] = lambda y: y) -> None:
        super().__init__()
        self.first, self.last, self.read, self.give = nn.Linear(6, 8), nn.Linear(8, 4), read, give

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.give(self.last(F.relu(self.first(self.read(*args, **kwargs)))))


def found(graph: Graph) -> dict[str, int]:
    """Axes by name."""
    return {axis.name: axis.size for axis in graph.axes}


def x() -> Tensor:
    """An input."""
    return torch.randn(2, 6, generator=torch.Generator().manual_seed(0))


WAYS: dict[str, tuple[Callable[..., Tensor], Any, Any]] = {
    "a tensor": (lambda x: x, x(), None),
    "a list of arguments": (lambda x, y: x + y, [x(), x()], None),
    "nested containers": (lambda t: t[0]["a"][1] + t[1], (([{"a": (None, x())}, x()]),), None),
    "a dict as argument": (lambda batch: batch["x"], ({"x": x()},), None),
    "a dict for keywords": (lambda x, flag: x if flag else -x, {"x": x(), "flag": True}, None),
    "a user dict as argument": (lambda batch: batch["x"], (UserDict(x=x()),), None),
    "a user dict for keywords": (lambda *, x: x, UserDict(x=x()), None),
    "keywords": (lambda x, mode: x if mode == "plain" else -x, (x(),), {"mode": "plain"}),
    "a user dict of keywords": (lambda x, y=None: x, (), UserDict(x=x(), y=None)),
    "integers, None, text": (lambda x, n, nothing, text: x * n, (x(), 2, None, "text"), None),
    "a named tuple in a tuple": (lambda pair: pair.x * pair.scale, (Pair(x(), 2.0),), None),
    "a named tuple": (lambda pair: pair.x * pair.scale, Pair(x(), 2.0), None),
    "a dataclass": (lambda batch: batch.x + batch.more["y"], Batch(x(), {"y": x()}), None),
    "a dataclass with slots": (lambda batch: batch.x, (Slotted(x()),), None),
    "an object": (lambda batch: batch.x, (Plain(x()),), None),
    "an ordered dict": (lambda batch: batch["x"], (OrderedDict(x=x()),), None),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_call(way: str) -> None:
    read, args, kwargs = WAYS[way]
    model = Net(read)
    graph = trace(model, args, kwargs)
    assert found(graph) == {"first": 8}
    assert graph.notes == ()
    assert apply(model, graph.plan({"first": [1, 4]})).report.verified


def test_a_single_mapping_of_parameter_names_gives_keywords() -> None:
    class Named(Net):
        def forward(self, ids: Tensor, mask: Tensor | None = None) -> Any:
            return super().forward(ids if mask is None else ids * mask)

    model = Named(lambda x: x)
    for batch in ({"ids": x(), "mask": torch.ones(2, 1)}, UserDict(ids=x(), mask=torch.ones(2, 1)), {"ids": x()}):
        for graph in (trace(model, batch), trace(model, (batch,)), trace(model, kwargs=batch)):
            assert found(graph) == {"first": 8}
            assert list(graph.kwargs) == list(batch)


def test_arguments_are_not_changed() -> None:
    """Neither on tensors without contents nor for real; neither by a trace nor by a proof."""

    def read(batch: dict[str, Any], plain: Plain, *, real: bool) -> Tensor:
        data = batch["x"]
        batch["new"] = data
        batch["list"].append(data)
        plain.x.add_(1)
        plain.extra = data  # type: ignore[attr-defined]
        out: Tensor = data + plain.x * (float(data.sum()) if real else 1.0)
        return out

    for real in (False, True):
        batch: dict[str, Any] = {"x": x(), "list": [1]}
        model, plain = Net(read), Plain(torch.zeros(2, 6))
        graph = trace(model, (batch, plain), {"real": real})
        assert apply(model, graph.plan({"first": [0]})).report.verified
        assert list(batch) == ["x", "list"]
        assert batch["list"] == [1]
        assert torch.equal(batch["x"], x())
        assert list(vars(plain)) == ["x"]
        assert plain.x.abs().max() == 0


def test_copies_keep_what_is_shared() -> None:
    shared = x()
    value = {"a": shared, "b": [shared, shared[0]], "again": None, "module": nn.Linear(1, 1), "text": "t"}
    value["again"] = value["b"]
    copied = map_tensors(torch.clone, value)
    assert copied["a"] is copied["b"][0]
    assert copied["a"] is not shared
    assert copied["again"] is copied["b"]
    assert copied["module"] is value["module"]
    pair = Pair(shared, 1.0)
    assert isinstance(map_tensors(torch.clone, pair), Pair)
    assert map_tensors(torch.clone, (1, "a")) == (1, "a")


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (3, None, r"trace args: wanted a tensor, a tuple of arguments or a mapping, got 3 \(int\)\. Pass args="),
        (None, None, r"trace args: .* got None"),
        ((), [1], r"trace kwargs: wanted a mapping of names to arguments, got \[1\] \(list\)"),
        ({1: x()}, None, r"trace kwargs: wanted names as keys, got 1\. A mapping that is itself the argument"),
        ({"x": x()}, {"x": x()}, r"trace kwargs: wanted other names than those in args, got \['x'\]"),
    ],
)
def test_arguments_that_make_no_call(args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(SecateursError, match=message):
        trace(Net(lambda x: x), args, kwargs)


# ---------------------------------------------------------------------- what is returned


@dataclasses.dataclass
class Output(OrderedDict[str, Any]):
    """A dataclass that is a dict, as some libraries return."""

    logits: Tensor | None = None
    state: Any = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            self[field.name] = getattr(self, field.name)


RESULTS: dict[str, Callable[[Tensor], Any]] = {
    "a tensor": lambda y: y,
    "a tuple": lambda y: (y, None),
    "nested containers": lambda y: [{"a": (y,)}, 1, "text"],
    "a user dict": lambda y: UserDict(y=y),
    "a dataclass": lambda y: Batch(y),
    "a dataclass with slots": lambda y: Slotted(y),
    "a named tuple": lambda y: Pair(y, 1.0),
    "an object": lambda y: Plain(y),
    "a dataclass that is a dict": lambda y: Output(logits=y),
    "a distribution": lambda y: torch.distributions.Normal(y, torch.ones(()), validate_args=False),
}


@pytest.mark.parametrize("result", RESULTS)
def test_tensors_in_every_kind_of_output_are_promised(result: str) -> None:
    model = Net(lambda x: x, RESULTS[result])
    graph = trace(model, x())
    assert found(graph) == {"first": 8}
    assert "an output of the model" in [entry.why for entry in graph.fixed if entry.path == "last.weight"]
    assert apply(model, graph.plan({"first": [1, 4]})).report.verified


class Memory:
    """A cache of keys and values."""

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []

    def update(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The next layer's."""
        self.layers.append((keys, values))
        return keys, values


class Remembering(nn.Module):
    """Attention of four heads of two that keeps keys and values, in an object or in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(8, 8) for _ in range(4))
        self.heads = 4

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        if memory is not None:
            k, v = memory.update(k, v)
        out: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class Decoder(nn.Module):
    """Returns what it remembers beside its result."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.attention, self.head, self.how = Remembering(), nn.Linear(8, 5), how

    def forward(self, x: Tensor, memory: Memory | None = None) -> Any:
        memory = Memory() if memory is None else memory
        y = self.head(self.attention(x, memory=memory))
        if self.how == "a tuple":
            return y, tuple(memory.layers)
        return Output(logits=y, state=memory) if self.how == "an output" else (y, memory)


@pytest.mark.parametrize("how", ["an output", "an object"])
@pytest.mark.parametrize("given", [False, True])
def test_a_cache_shrinks_with_its_model(how: str, given: bool) -> None:
    model, data, memory = Decoder(how), torch.randn(2, 3, 8), Memory()
    graph = trace(model, (data, memory) if given else (data,))
    assert ("attention.q", 4) in [
        (axis.name.partition(":")[0], axis.size) for axis in graph.axes if axis.kind == "head"
    ]
    heads = next(axis.name for axis in graph.axes if axis.kind == "head")
    result = apply(model, graph.plan({heads: [0, 2]}))
    assert result.report.verified
    assert memory.layers == []
    _, memory = model.eval()(data).values() if how == "an output" else model(data)
    assert memory.layers[0][0].shape == (2, 4, 3, 2)
    _, memory = result.model(data).values() if how == "an output" else result.model(data)
    assert memory.layers[0][0].shape == (2, 2, 3, 2)


def test_keys_and_values_in_a_tuple_are_promised() -> None:
    graph = trace(Decoder("a tuple"), torch.randn(2, 3, 8))
    assert [axis.name for axis in graph.axes] == ["attention.out"]
    whys = {entry.why for entry in graph.fixed if entry.path == "attention.k.weight" and entry.dim == 0}
    assert whys == {"an output of the model"}


def test_an_object_that_is_the_whole_result_is_promised_even_if_modules_took_it() -> None:
    class Passing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([Stage(6, 8), Stage(8, 4)])

        def forward(self, x: Tensor) -> Plain:
            data = Plain(x)
            for layer in self.layers:
                layer(data)
            return data

    class Stage(nn.Module):
        def __init__(self, width: int, out: int) -> None:
            super().__init__()
            self.layer = nn.Linear(width, out)

        def forward(self, data: Plain) -> None:
            data.x = torch.tanh(self.layer(data.x))

    assert found(trace(Passing(), x())) == {"layers.0.layer": 8}


def test_cost_and_latency_take_the_same_calls() -> None:
    model = Net(lambda x, flag=True: x)
    ways: list[tuple[Any, Any]] = [(x(), None), ((x(),), None), (UserDict(x=x(), flag=False), None), ((), {"x": x()})]
    assert len({str(cost(model, args, kwargs)) for args, kwargs in ways}) == 1
    for args, kwargs in ways:
        timed = latency(model, args, kwargs, batch_sizes=(1, 3), runs=1, warmup=0)
        assert [row.batch_size for row in timed.rows] == [1, 3]
