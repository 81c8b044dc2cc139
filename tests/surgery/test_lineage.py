"""Indices of the original network, whatever has been cut since, against numbers written into the weights."""

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from secateurs import models
from secateurs._errors import PlanError
from secateurs.graph import Graph, trace
from secateurs.surgery import apply, lineage, load, save
from tests.criteria._toys import TOYS, toy

IMAGES = torch.zeros(1, 3, 32, 32)


def numbered(model: nn.Module) -> nn.Module:
    """A copy in which every parameter holds the flat index of each of its elements."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.data = torch.arange(parameter.numel(), dtype=torch.float64).reshape(parameter.shape)
    return model


def read_back(tensor: Tensor, shape: tuple[int, ...]) -> list[list[int]]:
    """The places that are left of each dim, from the numbers alone."""
    indices = torch.unravel_index(tensor.detach().long().flatten(), shape)
    return [sorted(set(index.tolist())) for index in indices]


def some(graph: Graph, draw: st.DataObject) -> dict[str, list[int]]:
    """Units of a few axes, branches too; of axes that are cut by equal shares none."""
    tied = {name for coupling in graph.couplings for name in coupling.shares}
    found = {}
    for axis in graph.axes:
        if axis.name not in tied and draw.draw(st.booleans()):
            found[axis.name] = draw.draw(st.lists(st.integers(0, axis.size - 1), max_size=axis.size - 1, unique=True))
    return found


def check(model: nn.Module, args: tuple[Tensor, ...], draw: st.DataObject) -> None:
    """Cut three times at random, then compare."""
    model = numbered(model)
    shapes = {path: tuple(parameter.shape) for path, parameter in model.named_parameters()}
    for _ in range(3):
        graph = trace(model, args)
        try:
            plan = graph.plan(some(graph, draw))
        except PlanError:  # a tensor would have lost everything, with a stream and alone
            continue
        model = apply(model, plan, verify=False).model
    for path, parameter in model.named_parameters():
        places = lineage(model).places(path)
        assert [place.tolist() for place in places] == read_back(parameter, shapes[path])
        assert tuple(lineage(model).size(path, dim) for dim in range(parameter.dim())) == shapes[path]


@settings(max_examples=25, deadline=None)
@given(draw=st.data(), name=st.sampled_from(sorted(TOYS)))
def test_places_are_those_of_the_numbers_in_the_weights(draw: st.DataObject, name: str) -> None:
    graph, _ = toy(name)[:2]
    check(graph.model, tuple(arg.double() if arg.is_floating_point() else arg for arg in graph.args), draw)


@settings(max_examples=3, deadline=None)
@given(draw=st.data())
def test_places_in_a_residual_network_whose_branches_are_cut_again(draw: st.DataObject) -> None:
    check(models.build("resnet8", classes=3, width=0.5), (IMAGES.double(),), draw)


def test_a_model_that_was_never_cut_is_its_own_original() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    assert [place.tolist() for place in lineage(model).places("0.weight")] == [[0, 1, 2], [0, 1, 2, 3]]


def test_a_file_brings_the_lineage_along(tmp_path: Path) -> None:
    def dense() -> nn.Module:
        return models.build("resnet8", classes=3, width=0.5)

    model = dense()
    for removed in ([0, 3], [0], [1]):
        model = apply(model, trace(model, (IMAGES,)).plan({"layer1.0.conv2:branch": removed})).model
    save(model, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors", dense)
    assert lineage(loaded).places("layer1.0.conv2.weight")[0].tolist() == [2, 5, 6, 7]
    assert lineage(loaded).places("layer1.0.bn2.bias")[0].tolist() == [2, 5, 6, 7]


def test_a_model_resized_by_hand_is_refused() -> None:
    dense = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    model = apply(dense, trace(dense, (torch.zeros(1, 4),)).plan({"0": [1]})).model
    model.get_parameter("0.weight").data = torch.zeros(1, 4)
    with pytest.raises(PlanError, match="by plans alone"):
        lineage(model).places("0.weight")
    with pytest.raises(PlanError, match=r"Did you mean '0\.weight'"):
        lineage(model).places("0.weigth")
