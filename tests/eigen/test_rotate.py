"""Rotated networks: what they compute, what they cost, and what can be done with them afterwards."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import secateurs as sec
from secateurs._errors import BudgetError, FileError, PlanError
from secateurs.eigen import Bottleneck, EigenOptions, FactorOptions, Rotation, rotate
from secateurs.statistics import layers_of
from secateurs.surgery import fill_random
from tests.eigen._nets import bottlenecks, images, last_rotation, outputs, relative, resnet
from tests.statistics._nets import images as odd_images
from tests.statistics._nets import network as odd_network

PATCH = EigenOptions(factors=FactorOptions(inputs="patch"))
TUCKER = EigenOptions(method="tucker")
OPTIONS = {"channel": EigenOptions(), "patch": PATCH, "tucker": TUCKER, "three": EigenOptions(fold=False)}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))


def _cost(model: nn.Module) -> sec.Cost:
    return sec.cost(model, (images(1).to(next(model.parameters()).dtype),))


@every_option
def test_a_rotation_that_cuts_nothing_changes_no_output(options: EigenOptions) -> None:
    for model, x in ((resnet(), images()), (odd_network(), odd_images(4))):
        turned = rotate(model, [x], options=options)
        assert relative(outputs(model, x), outputs(turned, x)) < 1e-11
        rotatable = [path for path, layer in layers_of(model).items() if getattr(layer, "groups", 1) == 1]
        assert list(bottlenecks(turned)) == rotatable


def test_in_single_precision_it_changes_none_by_more_than_1e_6() -> None:
    model, x = resnet(dtype=torch.float32), images(dtype=torch.float32)
    turned = rotate(model, [x], remove=None)
    assert relative(outputs(model, x), outputs(turned, x)) < 1e-6
    assert {parameter.dtype for parameter in turned.parameters()} == {torch.float32}


@every_option
@pytest.mark.parametrize("remove", [{"macs": 0.5}, {"params": 0.6}, {"macs": 0.2, "params": 0.5}, {"bytes": 0.3}])
def test_the_budget_is_met_from_above_with_rotations_counted(options: EigenOptions, remove: dict[str, float]) -> None:
    model = resnet()
    small = rotate(model, [images()], remove=remove, options=options)
    change, before, after = last_rotation(small), _cost(model), _cost(small)
    assert (change.before, change.cost) == (before, after)
    excess = []
    for name, ratio in remove.items():
        gone = 1 - getattr(after, name) / getattr(before, name)
        assert gone >= ratio
        excess.append(gone - ratio)
    assert min(excess) < 0.02
    for path, bottleneck in bottlenecks(small).items():  # nothing was replaced by what is dearer
        dense = sum(parameter.numel() for parameter in model.get_submodule(path).parameters())
        if "macs" not in remove:
            assert sum(parameter.numel() for parameter in bottleneck.parameters()) < dense


def test_units_are_directions_of_all_layers() -> None:
    model = resnet()
    small = rotate(model, [images()], remove={"units": 0.4}, options=EigenOptions(fold=False))
    layers = layers_of(model)
    total = sum(sum(layer.weight.shape[:2]) for layer in layers.values())
    gone = sum(
        sum(layers[path].weight.shape[:2]) - (widths.into or 0) - widths.core
        for path, widths in last_rotation(small).layers.items()
    )
    assert 0.4 <= gone / total < 0.45


def test_no_side_loses_more_than_the_limit() -> None:
    model = resnet()
    small = rotate(model, [images()], remove={"units": 0.35}, options=EigenOptions(limit=0.5, fold=False))
    layers = layers_of(model)
    for path, widths in last_rotation(small).layers.items():
        outputs_, inputs = layers[path].weight.shape[:2]
        assert widths.into is not None
        assert widths.into >= inputs / 2
        assert widths.core >= outputs_ / 2
    with pytest.raises(BudgetError, match=r"wanted 0\.9 of macs removed, got at most .*limit=0\.5"):
        rotate(model, [images()], remove={"macs": 0.9}, options=EigenOptions(limit=0.5))


def test_the_least_important_directions_go_and_what_stays_is_untouched() -> None:
    """A layer that is a product of few directions is found to be one."""
    generator = torch.Generator().manual_seed(5)
    left, right = (torch.randn(*size, generator=generator, dtype=torch.float64) for size in ((12, 2), (2, 10)))
    model = nn.Sequential(nn.Linear(10, 12), nn.ReLU(), nn.Linear(12, 4)).double()
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(left @ right)
    x = torch.randn(200, 10, generator=generator, dtype=torch.float64)
    small = rotate(model, [x], remove={"params": 0.2}, protect=["2"], options=TUCKER)
    assert relative(outputs(model, x), outputs(small, x)) < 1e-9


@every_option
def test_bottlenecks_never_nest(options: EigenOptions) -> None:
    model, x = resnet(), images()
    twice = rotate(rotate(model, [x], options=options), [x], options=options)
    assert relative(outputs(model, x), outputs(twice, x)) < 1e-10
    for bottleneck in bottlenecks(twice).values():
        assert not any(isinstance(inner, Bottleneck) for inner in bottleneck.modules() if inner is not bottleneck)
    once = rotate(model, [x], remove={"macs": 0.3}, options=options)
    again = rotate(once, [x], remove={"macs": 0.3}, options=options)
    assert 1 - _cost(again).macs / _cost(once).macs >= 0.3
    for bottleneck in bottlenecks(again).values():
        assert not any(isinstance(inner, Bottleneck) for inner in bottleneck.modules() if inner is not bottleneck)
    kept = rotate(once, [x], options=options)
    assert relative(outputs(once, x), outputs(kept, x)) < 1e-10


def test_norms_are_renewed_by_what_the_cut_has_moved() -> None:
    """With the images' own statistics stored before, the images' own are stored after."""
    model, x = resnet(), images(24)
    _store(model, x)
    before = deepcopy(model.state_dict())
    kept, renewed = (
        rotate(model, [x], remove={"macs": 0.4}, options=EigenOptions(norms=norms)) for norms in ("kept", "renewed")
    )
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for name, value in kept.state_dict().items():
        if "running" in name:
            assert torch.equal(value, before[name])
    found = renewed.state_dict()
    _store(renewed, x)
    for name, value in renewed.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-8)
    assert not any(module._forward_pre_hooks for module in (*model.modules(), *renewed.modules()))
    assert rotate(model, [x[:1]], remove={"macs": 0.4}) is not model  # one image has no variance: nothing to renew by


def _store(model: nn.Module, x: Tensor) -> None:
    """The images' statistics, as every norm sees them."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        model.train()(x)
    for norm in norms:
        size = 24 * 64 if norm.num_features == 16 else 24 * 16 if norm.num_features == 32 else 24 * 4
        assert norm.running_var is not None
        norm.running_var *= (size - 1) / size  # stored with Bessel's correction
        norm.num_batches_tracked.zero_()  # type: ignore[union-attr]
    model.eval()


def test_a_rotated_network_is_saved_and_loaded(tmp_path: Path) -> None:
    x = images(dtype=torch.float32)
    model = rotate(resnet(dtype=torch.float32), [x], remove={"macs": 0.4}, options=EigenOptions(rotations="fixed"))
    model = rotate(model, [x], remove={"macs": 0.2})
    sec.save(model, tmp_path / "small.safetensors")
    loaded = sec.load(tmp_path / "small.safetensors", lambda: sec.models.build("resnet8", classes=4))
    assert torch.equal(outputs(model, x), outputs(loaded, x))
    assert last_rotation(loaded) == last_rotation(model)
    sec.save(loaded, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "small.safetensors").read_bytes()


def test_cuts_before_and_after_compose_and_are_proved(tmp_path: Path) -> None:
    x, dense = images(), resnet()
    first = sec.prune(dense, (x[:2],), remove={"macs": 0.2}).model
    turned = rotate(first, [x], remove={"macs": 0.3})
    graph = sec.trace(turned, (x[:2],))
    inner = [axis.name for axis in graph.axes if axis.name.endswith((".into", ".core"))]
    assert len(inner) > 5
    for kinds in (None, ["branch"]):
        plan = sec.select(graph, sec.criteria.Magnitude()(graph), remove={"macs": 0.2}, kinds=kinds)
        result = sec.apply(turned, plan)
        assert result.report.verified
        assert result.report.error is not None
        assert result.report.error < 1e-9
        again = rotate(result.model, [x], remove={"macs": 0.1})
        sec.save(again, tmp_path / "small.safetensors")
        loaded = sec.load(tmp_path / "small.safetensors", resnet)
        assert torch.equal(outputs(again, x), outputs(loaded, x))


def test_fixed_rotations_ask_for_no_gradients_and_load_so(tmp_path: Path) -> None:
    model = rotate(resnet(), [images()], options=EigenOptions(rotations="fixed"))
    sec.save(model, tmp_path / "fixed.safetensors")
    loaded = sec.load(tmp_path / "fixed.safetensors", resnet)
    for one in (model, loaded):
        for bottleneck in bottlenecks(one).values():
            for layer, learns in ((bottleneck.into, False), (bottleneck.core, True), (bottleneck.out, False)):
                assert layer is not None
                assert layer.weight.requires_grad is learns
    assert all(parameter.requires_grad for parameter in rotate(resnet(), [images()]).parameters())


def test_it_trains_like_any_network() -> None:
    x, labels = images(), torch.arange(12) % 4
    model = rotate(resnet(), [x], remove={"macs": 0.4}).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for _ in range(5):
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_the_model_itself_is_left_as_it_is() -> None:
    model = resnet().train()
    before = deepcopy(model.state_dict())
    rotate(model, [images()], remove={"macs": 0.4})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert not bottlenecks(model)


def test_protected_layers_stay_whole() -> None:
    small = rotate(resnet(), [images()], protect=["layer1", "*.conv2"])
    assert bottlenecks(small)
    assert not any(path.startswith("layer1") or path.endswith("conv2") for path in bottlenecks(small))
    with pytest.raises(PlanError, match="wanted patterns that fit a layer, got 'layre1'"):
        rotate(resnet(), [images()], protect=["layre1"])


def test_a_layer_with_hooks_or_of_another_class_stays_whole() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            return F.conv2d(input, self.weight - self.weight.mean(), self.bias, self.stride, self.padding)

    model = nn.Sequential(Standardised(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(64, 3))
    fill_random(model.double(), seed=0)
    model[1].register_forward_hook(lambda _module, _args, output: 2 * output)
    x = images()
    turned = rotate(model, [x])
    assert list(bottlenecks(turned)) == ["2", "4"]
    assert relative(outputs(model, x), outputs(turned, x)) < 1e-11


def test_modules_under_two_names_stay_one() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(6, 6)
            self.second = self.first
            self.head = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.head(self.second(torch.tanh(self.first(x))))
            return result

    model = Shared().double()
    x = torch.randn(9, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned = rotate(model, [x])
    assert turned.get_submodule("first") is turned.get_submodule("second")
    assert relative(outputs(model, x), outputs(turned, x)) < 1e-11


def test_a_generator_of_batches_is_read_once() -> None:
    small = rotate(
        resnet(), (part for part in images().split(6)), remove={"macs": 0.3}, options=EigenOptions(ekfac=True)
    )
    same = rotate(resnet(), images().split(6), remove={"macs": 0.3}, options=EigenOptions(ekfac=True))
    assert torch.equal(outputs(small, images()), outputs(same, images()))


def test_nothing_to_rotate_is_refused() -> None:
    with pytest.raises(PlanError, match="wanted a convolution or linear map to rotate, got none"):
        rotate(nn.Sequential(nn.BatchNorm2d(3)), [images()])
    with pytest.raises(PlanError, match="wanted batches"):
        rotate(resnet(), None)
    with pytest.raises(PlanError, match="remove"):
        rotate(resnet(), [images()], remove={"flops": 0.5})


def _damage(content: dict[str, Any], kind: str) -> dict[str, Any]:
    layer = next(iter(content["layers"].values()))
    if kind == "wide":
        layer["core"] = 10**9
    elif kind == "negative":
        layer["core"] = -1
    elif kind == "missing":
        del content["layers"]
    elif kind == "elsewhere":
        content["layers"] = {"bn1": layer}
    else:
        content["fixed"] = "no"
    return content


@pytest.mark.parametrize("kind", ["wide", "negative", "missing", "elsewhere", "fixed"])
def test_a_damaged_rotation_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = rotate(resnet(), [images()], remove={"macs": 0.3})
    whole = Rotation.to_json

    def damaged(change: Rotation) -> dict[str, Any]:
        return _damage(json.loads(json.dumps(whole(change))), kind)

    monkeypatch.setattr(Rotation, "to_json", damaged)
    sec.save(model, tmp_path / "damaged.safetensors")
    with pytest.raises((PlanError, FileError)):
        sec.load(tmp_path / "damaged.safetensors", resnet)
