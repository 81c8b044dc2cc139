"""What sparse training is for: the cut afterwards takes little away."""

import pytest
import torch
from torch import nn

from secateurs import apply, models, select, trace
from secateurs.criteria import Magnitude
from secateurs.data import DataOptions, ImageSet, load
from secateurs.sparsity import GroupLasso
from secateurs.training import Classification, Objective, Penalised, TrainOptions, evaluate, train
from tests.training._toys import split_batches

Batches = list[tuple[torch.Tensor, torch.Tensor]]


def _batches(images: object, size: int, seed: int) -> Batches:
    assert isinstance(images, ImageSet)
    order = torch.randperm(len(images.labels), generator=torch.Generator().manual_seed(seed))
    return split_batches((images.images[order].float() / 255 - 0.3) / 0.35, images.labels[order].long(), size)


def _trained(data: Batches, seed: int, strength: float) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = models.build("resnet8", classes=10, channels=1, width=0.5)
    objective: Objective = Classification()
    if strength:
        objective = Penalised(objective, GroupLasso(strength=strength).on(trace(model, data[0][0])))
    train(model, data, TrainOptions(epochs=12, lr=0.1, device="cpu", precision="32"), objective=objective)
    return model.eval()


@pytest.mark.slow
def test_a_cut_after_sparse_training_takes_little_away() -> None:
    splits = load(DataOptions(name="digits"))
    test = _batches(splits.test, 512, 0)
    lost: dict[float, list[float]] = {0.0: [], 0.002: []}
    for strength, losses in lost.items():
        for seed in range(3):
            model = _trained(_batches(splits.train, 64, seed), seed, strength)
            graph = trace(model, test[0][0][:1])
            cut = apply(model, select(graph, Magnitude()(graph), {"macs": 0.5}), verify=False).model
            dense, after = (evaluate(net, test, device="cpu").accuracy for net in (model, cut))
            assert dense > 0.95
            losses.append(dense - after)
            norms = GroupLasso().on(graph)
            small, middling = norms.small_units(0.1), norms.small_units(0.4) - norms.small_units(0.1)
            if strength:
                # Two heaps, and next to nothing between them.
                assert small > 0.4
                assert middling < 0.15
                assert small < 0.9
            else:
                assert small < 0.1
    assert max(lost[0.002]) < 0.05
    assert sum(lost[0.0]) / 3 > 0.3
    assert all(sparse < plain for plain, sparse in zip(lost[0.0], lost[0.002], strict=True))
