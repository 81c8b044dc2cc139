"""UnitMem of networks that were cut before is that of the same networks with their units silenced."""

from typing import Literal

import pytest
import torch

from secateurs import models
from secateurs.criteria import UnitMem
from secateurs.graph import trace
from secateurs.surgery import apply, lineage
from tests.criteria._toys import fill

IMAGES = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
CUTS = [("layer1.0", [0, 5]), ("layer2.0", [3]), ("layer1.0", [2])]


@pytest.mark.parametrize("at", ["read", "norm"])
def test_narrow_branches_are_seen_where_they_were(at: Literal["read", "norm"]) -> None:
    dense = fill(models.build("resnet8", classes=4, width=0.5)).eval()
    small = dense
    for block, units in CUTS:
        # By the place that each unit has now, which the lineage tells the original of.
        small = apply(small, trace(small, (IMAGES,)).plan({f"{block}.conv2:branch": units}), example=(IMAGES,)).model
    history = lineage(small)
    with torch.no_grad():
        for block in ("layer1.0", "layer2.0"):
            kept = history.places(f"{block}.conv2.weight")[0]
            gone = [unit for unit in range(history.size(f"{block}.conv2.weight")) if unit not in kept.tolist()]
            for path in (f"{block}.conv2.weight", f"{block}.bn2.weight", f"{block}.bn2.bias"):
                dense.get_parameter(path)[gone] = 0
    images = torch.randn(12, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    batches = [(images, torch.zeros(12))]
    assert torch.allclose(small(images), dense(images), atol=1e-5)
    whole, seen = (UnitMem(at=at).observe(trace(model, (IMAGES,)), batches) for model in (dense, small))
    for name in ("layer1.0.conv2:branch", "layer2.0.conv2:branch", "layer3.0.conv2:branch"):
        kept = history.places(name.replace(":branch", ".weight"))[0]
        torch.testing.assert_close(seen[name].values, whole[name].values[kept], rtol=1e-4, atol=1e-5)
        assert seen[name].values.max() > 0
