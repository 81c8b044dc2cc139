"""Mean and spread."""

import pytest
import torch

from secateurs.data import _moments
from secateurs.data._moments import moments


def test_moments_are_exact_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (50, 3, 7, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = moments(images)
    monkeypatch.setattr(_moments, "_CHUNK_BYTES", 300)
    assert moments(images) == whole
    pixels = images.double() / 255
    assert whole[0] == pytest.approx(pixels.mean((0, 2, 3)).tolist(), rel=1e-12)
    assert whole[1] == pytest.approx(pixels.permute(1, 0, 2, 3).flatten(1).std(1, correction=0).tolist(), rel=1e-12)


def test_a_channel_that_never_changes_has_a_spread_of_one_grey_level() -> None:
    images = torch.full((4, 1, 2, 2), 51, dtype=torch.uint8)
    mean, std = moments(images)
    assert mean == pytest.approx((0.2,))
    assert std == pytest.approx((1 / 255,))
