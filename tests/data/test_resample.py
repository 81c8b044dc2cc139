"""Boxes brought to one size, against exact fractions and against Pillow."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from secateurs.data import ResizedCrop
from secateurs.data import _resample as resample_module
from secateurs.data._boxes import central_boxes, random_boxes
from secateurs.data._draws import Draws
from secateurs.data._resample import Boxes, resampled
from tests.data.making import image_set


def boxes(rows: list[tuple[int, int, int, int]]) -> Boxes:
    top, left, height, width = torch.tensor(rows).unbind(1)
    return Boxes(top=top, left=left, height=height, width=width)


def weights(length: int, size: int) -> list[list[Fraction]]:
    """Of each pixel of a line for each result: a triangle around its centre, normalised."""
    step = Fraction(length, size)
    reach = max(step, Fraction(1))
    found = []
    for wanted in range(size):
        centre = (wanted + Fraction(1, 2)) * step
        heights = [max(Fraction(0), reach - abs(at + Fraction(1, 2) - centre)) for at in range(length)]
        found.append([height / sum(heights) for height in heights])
    return found


def slow(image: Tensor, size: int) -> list[list[float]]:
    down, across = weights(image.shape[0], size), weights(image.shape[1], size)
    values = image.tolist()
    return [
        [float(sum(wy * wx * values[y][x] for y, wy in enumerate(a) for x, wx in enumerate(b))) for b in across]
        for a in down
    ]


@pytest.mark.parametrize("size", [1, 4, 9])
def test_values_are_those_of_exact_fractions_to_a_level(size: int) -> None:
    images = image_set(4, channels=1, side=7).images[:, :, :5]
    rows = [(0, 0, 5, 7), (1, 2, 3, 4), (4, 6, 1, 1), (0, 3, 5, 2)]
    out = resampled(images, boxes(rows), size)
    assert out.dtype == torch.uint8
    for image, (top, left, height, width), result in zip(images, rows, out, strict=True):
        wanted = torch.tensor(slow(image[0, top : top + height, left : left + width], size))
        assert (result[0].double() - wanted).abs().max() <= 1


def test_values_are_those_of_pillow_to_a_level() -> None:
    images = image_set(6, side=40).images
    rows = [(row, 2 * row, 33 - row, 20 + row) for row in range(6)]
    out = resampled(images, boxes(rows), 16)
    for image, (top, left, height, width), result in zip(images, rows, out, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy()).crop((left, top, left + width, top + height))
        wanted = np.asarray(picture.resize((16, 16), Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(result.permute(1, 2, 0).numpy().astype(int) - wanted).max() <= 1


def test_an_image_of_the_size_wanted_stays_as_it_is() -> None:
    images = image_set(3, side=8).images
    assert torch.equal(resampled(images, boxes([(0, 0, 8, 8)] * 3), 8), images)
    flat = torch.full_like(images, 200)
    assert torch.equal(resampled(flat, boxes([(1, 0, 5, 3)] * 3), 8), flat)


def test_a_result_depends_on_its_own_box_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    images = image_set(64, side=23).images
    chosen = random_boxes(
        Draws((0,), torch.arange(64)), torch.full((64,), 23), torch.full((64,), 23), ResizedCrop(size=11)
    )
    whole = resampled(images, chosen, 11)
    for row in range(64):
        box = chosen.at(row)
        top, left, height, width = (int(x) for x in (box.top, box.left, box.height, box.width))
        cut = images[row : row + 1, :, top : top + height, left : left + width]
        assert torch.equal(resampled(cut, boxes([(0, 0, height, width)]), 11)[0], whole[row])
    monkeypatch.setattr(resample_module, "_CHUNK", 11 * 23 * 7)
    assert torch.equal(resampled(images, chosen, 11), whole)


def test_boxes_follow_scale_and_ratio() -> None:
    count, side = 20_000, 1000
    full = torch.full((count,), side)
    options = ResizedCrop(size=8, scale=(0.1, 0.5), ratio=(0.5, 2.0))
    found = random_boxes(Draws((1, 2), torch.arange(count)), full, full, options)
    assert (found.top >= 0).all()
    assert (found.top + found.height <= side).all()
    assert (found.left + found.width <= side).all()
    area = (found.height * found.width) / side**2
    ratio = (found.width / found.height).log2()
    for values, low, high in ((area, 0.1, 0.5), (ratio, -1, 1)):
        assert low - 0.01 < values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() < high + 0.01
        counts = torch.histc(values.double(), 10, low, high)
        assert (counts - count / 10).abs().max() < 5 * (count / 10) ** 0.5 + 60  # rounding to pixels blurs the edges
    room = side - found.height
    place = (found.top + 0.5) / (room + 1)
    assert abs(place.mean() - 0.5) < 5 * (1 / 12 / count) ** 0.5


def test_boxes_that_do_not_fit_give_the_greatest_central_one() -> None:
    height, width = torch.tensor([100, 30]), torch.tensor([100, 90])
    found = random_boxes(
        Draws((0,), torch.arange(2)), height, width, ResizedCrop(size=8, scale=(1, 1), ratio=(2.0, 2.0))
    )
    assert [x.tolist() for x in (found.top, found.left, found.height, found.width)] == [
        [25, 0],
        [0, 15],
        [50, 30],
        [100, 60],
    ]


def test_images_that_are_judged_give_their_centre() -> None:
    found = central_boxes(torch.tensor([224, 256, 500]), torch.tensor([224, 300, 256]), 224)
    assert [x.tolist() for x in (found.top, found.left, found.height, found.width)] == [
        [0, 16, 138],
        [0, 38, 16],
        [224, 224, 224],
        [224, 224, 224],
    ]
