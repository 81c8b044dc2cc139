"""Published weights fit the networks by name and give the accuracy that was measured with them."""

import os
from pathlib import Path

import pytest
import torch

from secateurs import models
from secateurs._files import load_tensors
from secateurs.data import DataOptions, load, make_batches

DATA = Path(os.environ.get("SECATEURS_DATA", ""))
# What the weights were trained with: those of ImageNet, not of CIFAR-10.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

pytestmark = pytest.mark.skipif(
    "SECATEURS_DATA" not in os.environ or not (DATA / "weights").is_dir(),
    reason="SECATEURS_DATA names no folder with pretrained weights",
)


@pytest.mark.parametrize(("name", "accuracy"), [("resnet20", 0.9173), ("resnet32", 0.9263)])
def test_cifar10_weights_load_strictly_and_classify(name: str, accuracy: float) -> None:
    model = models.build(name).eval()
    tensors, _ = load_tensors(DATA / "weights" / f"cifar10_{name}.safetensors")
    model.load_state_dict(tensors, strict=True)
    # 1,000 of the 10,000 test images: the single file is divided in halves, and the limit takes a fifth of each.
    options = DataOptions(
        path=DATA / "cifar10" / "test.parquet", test_ratio=0.5, limit=1000, validation_ratio=0, mean=MEAN, std=STD
    )
    splits = load(options)
    batches = make_batches(splits.test, batch_size=250, mean=splits.mean, std=splits.std)
    with torch.inference_mode():
        right = sum(int((model(x).argmax(1) == y).sum()) for x, y in batches)
    assert len(splits.test) == 1000
    assert abs(right / 1000 - accuracy) < 0.02
