"""Heads that tell fewer classes apart: the dense model's own scores, from smaller layers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from secateurs import models
from secateurs._errors import PlanError, VerifyError
from secateurs.cost import cost
from secateurs.graph import trace
from secateurs.surgery import kept_outputs, load, prune, save, slice_outputs
from secateurs.surgery._head import plan_outputs
from tests.zoo import ZOO, Entry

KEEP = [7, 0, 3]
NETWORKS = ("mlp", "fc_head", "conv4", "resnet20", "resnet9", "vgg11_bn")


def scores(model: nn.Module, *args: Tensor) -> Tensor:
    with torch.no_grad():
        out: Tensor = model.double().eval()(*args)
    return out


class Ends(nn.Module):
    """Ways of making class scores that are not one linear layer at the end."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.classes = how, 10
        self.stem, self.one, self.two = nn.Conv2d(3, 6, 3), nn.Linear(6, 10), nn.Linear(6, 10, bias=False)
        self.conv, self.norm = nn.Conv2d(6, 10, 1), nn.BatchNorm1d(10)
        self.few, self.rest, self.table = nn.Linear(6, 4), nn.Linear(6, 6), nn.Parameter(torch.randn(10, 6))

    def forward(self, x: Tensor) -> Tensor:
        maps = F.relu(self.stem(x))
        made: Tensor = self.made(maps, maps.mean((2, 3)))
        return made

    def made(self, maps: Tensor, pooled: Tensor) -> Any:
        if self.how == "pooled":
            return F.adaptive_avg_pool2d(self.conv(maps), 1).view(len(maps), self.classes)
        if self.how == "sum":
            return self.one(pooled) + self.two(pooled)
        if self.how == "norm":
            return self.norm(self.two(pooled)) * 2
        if self.how == "flip":
            return self.one(pooled).flip(1)
        if self.how == "concat":
            return torch.cat([self.few(pooled), self.rest(pooled)], 1)
        if self.how == "cosine":
            return F.normalize(pooled, dim=1) @ F.normalize(self.table, dim=1).T
        if self.how == "centred":
            made = self.one(pooled)
            return made - made.mean(1, keepdim=True)
        return F.softmax(self.one(pooled), 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_sliced_network_gives_the_dense_scores(name: str) -> None:
    channels, *size = models.TABLE[name].input_shape
    model, x = models.build(name, classes=12), torch.randn(2, channels, *size, dtype=torch.float64)
    sliced = slice_outputs(model, KEEP, (x.float(),))
    torch.testing.assert_close(scores(sliced.model, x), scores(model, x)[:, sorted(KEEP)], rtol=1e-12, atol=1e-12)
    assert sliced.report.verified
    # Nine rows of weights and nine biases, and nothing else.
    rows = {cut.path: cut.removed for cut in sliced.plan.cuts}
    assert set(rows.values()) == {tuple(set(range(12)) - set(KEEP))}
    lost = sum(9 * dict(model.named_parameters())[path][0].numel() for path in rows)
    assert cost(model, (x,)).params - cost(sliced.model, (x,)).params == lost


@pytest.mark.parametrize("how", ["pooled", "sum", "norm", "flip", "concat", "cosine"])
def test_whatever_makes_the_scores_is_cut(how: str) -> None:
    model, x = Ends(how), torch.randn(4, 3, 5, 5, dtype=torch.float64)
    sliced = slice_outputs(model, KEEP, (x.float(),)).model
    torch.testing.assert_close(scores(sliced, x), scores(model, x)[:, sorted(KEEP)])
    assert sum(p.numel() for p in sliced.parameters()) < sum(p.numel() for p in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("entry", [pytest.param(entry, id=name) for name, entry in ZOO.items()])
def test_every_other_output_of_any_model(entry: Entry) -> None:
    model, args, kwargs = entry.build().eval(), entry.arguments(2), entry.keywords(2)
    with torch.no_grad():
        out = model(*args, **kwargs)
    if not isinstance(out, Tensor) or out.dim() != 2 or out.shape[1] < 3:
        pytest.skip("no class scores")
    if entry is ZOO["tied_transposed"]:
        with pytest.raises(PlanError, match="reads an input of the model"):
            slice_outputs(model, range(0, out.shape[1], 2), args, kwargs)
        return
    sliced = slice_outputs(model, range(0, out.shape[1], 2), args, kwargs).model.eval()
    with torch.no_grad():
        torch.testing.assert_close(sliced(*args, **kwargs), out[:, ::2], rtol=1e-3, atol=1e-4)


def test_scores_that_depend_on_each_other_are_refused() -> None:
    x = torch.randn(4, 3, 5, 5)
    with pytest.raises(VerifyError, match=r"wanted the model's own scores of these classes within .*, got a relative"):
        slice_outputs(Ends("centred"), KEEP, (x,))
    with pytest.raises(PlanError, match=r"outputs: wanted classes that can go one by one, got scores whose number is"):
        slice_outputs(Ends("softmax"), KEEP, (x,))


def test_classes_that_are_not_there_are_refused() -> None:
    model, x = models.build("mlp", classes=5), torch.randn(1, 1, 28, 28)
    for keep in ([], [5], [-1, 2]):
        with pytest.raises(PlanError, match="outputs: wanted some of 0 to 4, got"):
            slice_outputs(model, keep, (x,))
    with pytest.raises(PlanError, match=r"wanted one tensor \[B, classes\], got 1 tensors of 4 dims"):
        slice_outputs(nn.Conv2d(1, 3, 3), [0], (x,))


def test_a_slice_is_saved_cut_further_and_told(tmp_path: Path) -> None:
    x = torch.randn(3, 1, 28, 28)
    dense = models.build("mlp", classes=10)
    once = slice_outputs(dense, [1, 4, 6, 9], (x,)).model
    cut = prune(once, (x,), remove={"params": 0.5}).model
    twice = slice_outputs(cut, [0, 2], (x,)).model
    save(twice, tmp_path / "a.safetensors")
    back = load(tmp_path / "a.safetensors", lambda: models.build("mlp", classes=10))
    torch.testing.assert_close(back.eval()(x), cut.eval()(x)[:, [0, 2]])
    found = [kept_outputs(models.build("mlp", classes=10), model, (x,)) for model in (dense, once, cut, twice, back)]
    assert found == [tuple(range(10)), (1, 4, 6, 9), (1, 4, 6, 9), (1, 6), (1, 6)]


def test_the_model_is_left_as_it_was() -> None:
    model, x = models.build("resnet8", classes=10), torch.randn(1, 3, 32, 32)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    slice_outputs(model, [0, 1], (x,))
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_outputs_are_free_only_where_that_is_asked_for() -> None:
    model, x = models.build("mlp", classes=10), torch.randn(1, 1, 28, 28)
    assert [len(labels) for labels in trace(model, (x,)).outputs] == [2]
    with pytest.raises(PlanError, match="an output of the model"):
        plan_outputs(trace(model, (x,)), [0, 1])
