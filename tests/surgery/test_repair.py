"""Repair restores what can be restored, and agrees with least squares on unfolded patches."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import ConfigError, PlanError, RepairOptions, Result, apply, prune, repair, trace
from secateurs.surgery import relative_error
from tests.surgery._repairable import Residual, grouped, linear, padded, random_norms

Build = Callable[[], nn.Module]
EXACT: Mapping[str, tuple[Build, tuple[int, ...], Mapping[str, Sequence[int]]]] = {
    "linear": (linear, (40, 6), {"0": [1, 3, 5, 7]}),
    "padded": (padded, (16, 3, 9, 9), {"0": [5]}),
    "grouped": (grouped, (16, 3, 6, 6), {"0": [1]}),
    "residual": (Residual, (24, 3, 8, 8), {"conv1": [3]}),
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def _cut(net: nn.Module, x: Tensor, removed: Mapping[str, Sequence[int]]) -> Result:
    return apply(net, trace(net, args=(x[:2],)).plan(removed))


def _grouped_units(net: nn.Module, x: Tensor, removed: Mapping[str, Sequence[int]]) -> Mapping[str, Sequence[int]]:
    """The axis that is there, by whatever name."""
    axes = trace(net, args=(x[:2],)).axes
    return removed if any(axis.name in removed for axis in axes) else {axes[0].name: [1]}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("options", [RepairOptions(), RepairOptions(layers="consumers"), RepairOptions(parallel=True)])
def test_what_is_linear_in_the_kept_units_is_restored(name: str, options: RepairOptions) -> None:
    build, shape, removed = EXACT[name]
    net, x, unseen = build().eval(), torch.randn(shape).double(), torch.randn(shape).double()
    result = _cut(net, x, _grouped_units(net, x, removed))
    assert relative_error([net(unseen)], [result.model(unseen)]) > 1e-3
    repair(result, [x[:10], x[10:]], options=options)
    assert relative_error([net(unseen)], [result.model(unseen)]) < 1e-6


def test_one_layer_agrees_with_least_squares_on_unfolded_patches() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 3, padding=1, stride=2)).double()
    x = torch.randn(20, 3, 8, 8).double()
    result = _cut(net, x, {"0": [0, 2, 7]})
    repair(result, [x[:7], x[7:]], options=RepairOptions(ridge=0.0))
    hidden = torch.relu(result.model.get_submodule("0")(x))
    patches = F.unfold(hidden, 3, padding=1, stride=2).transpose(1, 2).reshape(-1, 5 * 9)
    wanted = net(x).flatten(2).transpose(1, 2).reshape(-1, 5)
    columns = torch.cat([patches, torch.ones_like(patches[:, :1])], 1)
    oracle = torch.linalg.lstsq(columns, wanted).solution
    layer = result.model.get_submodule("2")
    got = torch.cat([layer.get_parameter("weight").reshape(5, -1).t(), layer.get_parameter("bias")[None]])
    torch.testing.assert_close(got, oracle, rtol=1e-6, atol=1e-8)


def test_layers_are_fitted_on_what_is_repaired_so_far() -> None:
    """Three layers, by hand: the last is fitted on the outputs of the second as it is after its own fit."""
    net = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 7), nn.Tanh(), nn.Linear(7, 3)).double()
    x = torch.randn(60, 5).double()
    result = _cut(net, x, {"0": [0, 1, 2], "2": [3, 4]})
    repair(result, [x], options=RepairOptions(ridge=0.0))
    cut = result.model
    columns = torch.cat([torch.tanh(cut.get_submodule("0")(x)), torch.ones(60, 1).double()], 1)
    kept = result.plan.kept("2.weight")[0]
    second = torch.linalg.lstsq(columns, net[:3](x)[:, kept]).solution
    columns = torch.cat([torch.tanh(columns @ second), torch.ones(60, 1).double()], 1)
    third = torch.linalg.lstsq(columns, net(x)).solution
    torch.testing.assert_close(cut(x), columns @ third, rtol=1e-6, atol=1e-8)


def test_a_repair_is_as_good_in_batches_of_any_size_and_leaves_the_dense_model_as_it_was() -> None:
    net, x = Residual().eval(), torch.randn(24, 3, 8, 8).double()
    before = copy.deepcopy(net.state_dict())
    results = [_cut(net, x, {"conv1": [1, 2, 6, 7]}) for _ in range(2)]
    done = repair(results[0], [x])
    repair(results[1], list(x.split(5)))
    torch.testing.assert_close(results[0].model(x), results[1].model(x))
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert done.repair is not None
    assert [layer.path for layer in done.repair.layers] == ["conv2.weight", "head.weight"]
    assert all(layer.after <= layer.before for layer in done.repair.layers)
    assert done.repair.norms == 2


def test_errors_shrink_where_nothing_can_be_restored() -> None:
    net = Residual().eval()
    x, unseen = torch.randn(64, 3, 8, 8).double(), torch.randn(64, 3, 8, 8).double()
    errors = []
    for options in (None, RepairOptions(parallel=True), RepairOptions(moments_bytes=1), RepairOptions()):
        result = _cut(net, x, {"conv1": [1, 4, 5, 8, 9, 10]})
        if options is not None:
            repair(result, x.split(16), options=options)
        errors.append(float((net(unseen) - result.model(unseen)).square().mean().detach()))
    assert max(errors[1:]) < 0.5 * errors[0]


def test_units_that_a_branch_lost_alone_are_made_up_for_behind_the_sum() -> None:
    net, x = Residual().eval(), torch.randn(48, 3, 8, 8).double()
    axis = next(axis for axis in trace(net, args=(x[:2],)).axes if axis.kind == "branch" and "conv2" in axis.name)
    result = _cut(net, x, {axis.name: [0, 3, 4]})
    before = float((net(x) - result.model(x)).square().mean().detach())
    done = repair(result, x.split(16))
    assert done.repair is not None
    assert "head.weight" in {layer.path for layer in done.repair.layers}
    assert float((net(x) - result.model(x)).square().mean().detach()) < 0.5 * before


def test_attention_is_repaired_where_values_are_read() -> None:
    net = nn.TransformerEncoderLayer(16, 4, 24, dropout=0.0, batch_first=True).double().eval()
    x = torch.randn(40, 5, 16).double()
    graph = trace(net, args=(x[:2],))
    heads = next(axis for axis in graph.axes if axis.kind == "head")
    result = apply(net, graph.plan({heads.name: [1], **{a.name: [0, 1, 2] for a in graph.axes if a.size == 24}}))
    before = float((net(x) - result.model(x)).square().mean().detach())
    done = repair(result, x.split(8))
    assert done.repair is not None
    assert {"self_attn.out_proj.weight", "linear2.weight"} <= {layer.path for layer in done.repair.layers}
    assert float((net(x) - result.model(x)).square().mean().detach()) < 0.8 * before


def test_what_cannot_be_repaired_is_listed_and_left_as_cut() -> None:
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.ConvTranspose2d(6, 2, 3)).double()
    x = torch.randn(4, 3, 6, 6).double()
    result = _cut(net, x, {"0": [1, 2]})
    weight = result.model.get_parameter("2.weight").detach().clone()
    done = repair(result, [x])
    assert done.repair is not None
    assert done.repair.left == {"2.weight": "a transposed convolution"}
    assert torch.equal(result.model.get_parameter("2.weight"), weight)


def test_statistics_that_are_not_of_these_images_move_only_as_the_cut_moved_them() -> None:
    net, x = Residual().eval(), torch.randn(24, 3, 8, 8).double()
    result = _cut(net, x, {"conv1": [3]})
    stored = result.model.get_buffer("norm2.running_var").clone()
    repair(result, [x])
    torch.testing.assert_close(result.model.get_buffer("norm2.running_var"), stored, rtol=1e-6, atol=0)


def test_a_repair_that_fails_leaves_the_cut_model_as_it_was() -> None:
    net, x = Residual().eval(), torch.randn(8, 3, 8, 8).double()
    result = _cut(net, x, {"conv1": [1]})
    before = copy.deepcopy(result.model.state_dict())
    with pytest.raises(RuntimeError):
        repair(result, [x, x[:, :2]])
    with pytest.raises(PlanError, match="repair: wanted at least one batch"):
        repair(result, [])
    for name, tensor in result.model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_cut_in_place_needs_the_dense_model() -> None:
    net, x = padded(), torch.randn(8, 3, 9, 9).double()
    dense = copy.deepcopy(net)
    result = apply(net, trace(net, args=(x[:2],)).plan({"0": [5]}), inplace=True)
    with pytest.raises(PlanError, match="cut in place"):
        repair(result, [x])
    repair(result, [x], dense=dense)
    assert relative_error([dense(x)], [net(x)]) < 1e-6


@pytest.mark.parametrize(("name", "value"), [("ridge", -1.0), ("layers", "some"), ("rows", 0), ("moments_bytes", 0)])
def test_options_that_make_no_sense_are_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"repair, {name}"):
        RepairOptions(**{name: value})  # type: ignore[arg-type]


def test_few_places_of_each_image_are_enough() -> None:
    net, x = Residual().eval(), torch.randn(40, 3, 8, 8).double()
    random_norms(net)
    losses = []
    for rows in (1, 2**16):
        result = _cut(net, x, {"conv1": [1, 4, 5]})
        done = repair(result, x.split(20), options=RepairOptions(rows=rows, layers="consumers")).repair
        assert done is not None
        losses.append(float((net(x) - result.model(x)).square().mean().detach()))
    assert losses[0] < 1.5 * losses[1]


def test_prune_repairs_where_it_has_batches() -> None:
    net, x = Residual().eval(), torch.randn(40, 3, 8, 8).double()
    options = {"args": (x[:2],), "remove": {"units": 0.3}}
    errors = {}
    for name, more in {
        "cut": {"batches": [x], "repair": False},
        "repaired": {"batches": [x]},
        "once": {"batches": iter(x.split(10))},
        "blind": {},
        "in place": {"batches": [x], "inplace": True},
    }.items():
        own = copy.deepcopy(net)
        result = prune(own, **options, **more)  # type: ignore[arg-type]
        assert result.report.verified
        assert (result.repair is not None) == (name not in ("cut", "blind"))
        assert (result.model is own) == (name == "in place")
        errors[name] = float((net(x) - result.model(x)).square().mean().detach())
    assert errors["cut"] == pytest.approx(errors["blind"])
    assert errors["repaired"] == pytest.approx(errors["in place"])
    assert max(errors["repaired"], errors["once"]) < 0.7 * errors["cut"]


def test_prune_chooses_by_what_repair_cannot_make_up_for_unless_told_otherwise() -> None:
    net, x = Residual().eval(), torch.randn(40, 3, 8, 8).double()
    random_norms(net)
    options: dict[str, Any] = {"args": (x[:2],), "remove": {"macs": 0.3}, "batches": [x]}
    default = prune(net, **options).plan
    assert default.removed == prune(net, **options, criterion="reconstruction", per="macs").plan.removed
    plain = prune(net, **options, repair=False).plan
    assert plain.removed == prune(net, **options, criterion="magnitude", per=None).plan.removed
    assert default.removed != plain.removed
