import pytest
import torch
from torch import Tensor, nn

from secateurs import models
from secateurs._errors import PlanError
from secateurs.criteria import BNScale, Magnitude
from secateurs.graph import trace
from tests.criteria._toys import fill, toy


def scales(model: nn.Module, path: str) -> Tensor:
    return model.get_parameter(f"{path}.weight").detach().double().abs()


def test_scores_are_the_scales_of_the_norms() -> None:
    model = fill(models.build("resnet20"))
    graph = trace(model, (torch.zeros(1, 3, 32, 32),))
    scores = BNScale()(graph)
    torch.testing.assert_close(scores["layer2.1.conv1"], scales(model, "layer2.1.bn1"))
    torch.testing.assert_close(scores["layer3.2.conv2:branch"], scales(model, "layer3.2.bn2"))
    stream = ["bn1", "layer1.0.bn2", "layer1.1.bn2", "layer1.2.bn2"]
    wider = [f"layer{stage}.{block}.bn2" for stage in (2, 3) for block in range(3)]
    first = next(axis for axis in graph.axes if axis.name == "conv1")
    on_it = {member.path: member.positions for member in first.members if member.path.endswith("bn2.weight")}
    parts = [scales(model, path)[on_it.get(f"{path}.weight", slice(None))] for path in stream + wider]
    torch.testing.assert_close(scores["conv1"], torch.stack(parts).mean(0))  # over all norms of the stream


def test_units_without_a_norm_go_by_magnitude_at_the_mean_of_all_scales() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 5), nn.PReLU(5), nn.Linear(5, 2))
    fill(model.double())
    graph = trace(model, (torch.zeros(2, 3, dtype=torch.float64),))
    scores, magnitudes = BNScale()(graph), Magnitude()(graph)["2"]
    middle = model.get_parameter("1.weight").detach().abs().mean()
    torch.testing.assert_close(scores["2"], magnitudes * middle / magnitudes.mean())


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 4), nn.LayerNorm([4, 5, 5])])
def test_group_norms_count_and_scales_of_single_places_do_not(norm: nn.Module) -> None:
    model = fill(nn.Sequential(nn.Conv2d(3, 4, 1), norm, nn.ReLU(), nn.Conv2d(4, 2, 1)))
    graph = trace(model, (torch.zeros(1, 3, 5, 5),))
    if isinstance(norm, nn.LayerNorm):
        with pytest.raises(PlanError, match="wanted norms that scale units, got none"):
            BNScale()(graph)
    else:
        together = torch.cat([scores for name, scores in BNScale()(graph).items()])
        assert together.isfinite().all()


def test_a_network_without_norms_is_refused() -> None:
    with pytest.raises(PlanError, match="bn_scale', Sequential: wanted norms that scale units, got none"):
        BNScale()(toy("chain")[0])
