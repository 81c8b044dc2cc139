"""Every augmentation against a slow reference, and its independence of what else is in the batch."""

import colorsys
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data import Augment, Batches, BatchOptions, Blur, ColourJitter, ImageSet, ResizedCrop
from secateurs.data import _colour as colour
from secateurs.data._cutout import cut_out
from secateurs.data._draws import Draws
from secateurs.data._hash import keyed
from secateurs.data._window import windowed
from tests.data.making import image_set

KEY, COUNT = (3, 1), 24
EVERYTHING = Augment(
    resized_crop=ResizedCrop(size=9),
    crop=2,
    crop_padding="reflect",
    flip=0.25,
    colour=ColourJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, probability=0.8),
    grayscale=0.2,
    blur=Blur(kernel=5),
    cutout=3,
)


def draws(count: int = COUNT) -> Draws:
    return Draws(KEY, torch.arange(count))


def coloured(images: Tensor, **options: Any) -> Tensor:
    return colour.recoloured(images.float() / 255, draws(len(images)), Augment(**options))


def pictures(images: Tensor) -> list[Image.Image]:
    return [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]


def levels(picture: Image.Image) -> Tensor:
    return torch.tensor(np.asarray(picture)).permute(2, 0, 1).double() / 255


@pytest.mark.parametrize("crop", [1, 4])
def test_reflected_crops_are_windows_of_the_mirrored_image(crop: int) -> None:
    images = image_set(COUNT, side=6).images
    out = windowed(images, draws(), Augment(crop=crop, crop_padding="reflect"))
    padded = torch.nn.functional.pad(images.float(), (crop,) * 4, mode="reflect").to(torch.uint8)
    places = set()
    for row in range(COUNT):
        found = [
            (down, right)
            for down in range(2 * crop + 1)
            for right in range(2 * crop + 1)
            if torch.equal(padded[row, :, down : down + 6, right : right + 6], out[row])
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 6


@pytest.mark.parametrize("side", [1, 4, 5, 30])
def test_cutout_is_a_square_of_zeros_around_a_pixel(side: int) -> None:
    count, extent = 500, 8
    out = cut_out(torch.ones(count, 2, extent, extent), draws(count), side)
    centres = torch.zeros(extent, extent)
    for image in out:
        candidates = []
        for y in range(extent):
            for x in range(extent):
                wanted = torch.ones(extent, extent)
                top, left = y - side // 2, x - side // 2
                wanted[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)] = 0
                if torch.equal(image, wanted.expand(2, -1, -1)):
                    candidates.append((y, x))
        assert candidates
        centres[candidates[0]] += 1
    if side < extent:
        assert (centres > 0).sum() > 40


@pytest.mark.parametrize(
    ("option", "enhancer", "purpose"),
    [
        ("brightness", ImageEnhance.Brightness, colour._BRIGHTNESS),
        ("contrast", ImageEnhance.Contrast, colour._CONTRAST),
        ("saturation", ImageEnhance.Color, colour._SATURATION),
    ],
)
def test_jitter_is_what_pillow_does(option: str, enhancer: Any, purpose: int) -> None:
    images = image_set(COUNT).images
    out = coloured(images, colour=ColourJitter(**{option: 0.7}))
    factors = (0.3 + 1.4 * draws().unit(purpose).double()).tolist()
    assert min(factors) < 0.6
    assert max(factors) > 1.4
    for picture, factor, result in zip(pictures(images), factors, out, strict=True):
        wanted = levels(enhancer(picture).enhance(factor))
        # Pillow rounds the grey that it starts from, and the result.
        assert (result.double() - wanted).abs().max() <= (1 + abs(1 - factor)) / 255


def test_hue_turns_as_in_colorsys() -> None:
    images = image_set(8, side=4).images
    out = coloured(images, colour=ColourJitter(hue=0.5))
    turns = (draws(8).unit(colour._HUE).double() - 0.5).tolist()
    for image, turn, result in zip(images, turns, out, strict=True):
        for pixel, seen in zip(image.flatten(1).T.tolist(), result.flatten(1).T, strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*(level / 255 for level in pixel))
            wanted = torch.tensor(colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value))
            torch.testing.assert_close(seen, wanted, rtol=0, atol=1e-5)


def test_grayscale_is_luma_in_all_channels() -> None:
    images = image_set(COUNT).images
    out = coloured(images, grayscale=1.0)
    for picture, result in zip(pictures(images), out, strict=True):
        wanted = torch.tensor(np.asarray(picture.convert("L"))).double() / 255
        assert (result.double() - wanted).abs().max() <= 1 / 255


def test_blur_is_the_gaussian_mean_of_the_neighbours() -> None:
    images = image_set(4, channels=1, side=6).images
    out = coloured(images, blur=Blur(kernel=5, sigma=(0.5, 1.5), probability=1))
    steps = draws(4).below(colour._SIGMA, 64).tolist()
    for image, step, result in zip(images, steps, out, strict=True):
        sigma = 0.5 + (step + 0.5) / 64
        padded = np.pad(image[0].numpy() / 255, 2, mode="reflect")
        kernel = np.exp(-((np.arange(5) - 2) ** 2) / (2 * sigma**2))
        square = np.outer(kernel, kernel) / kernel.sum() ** 2
        wanted = [[(padded[y : y + 5, x : x + 5] * square).sum() for x in range(6)] for y in range(6)]
        torch.testing.assert_close(result[0].double(), torch.tensor(wanted), rtol=0, atol=1e-6)


def test_grey_images_have_no_colour_to_lose() -> None:
    images = image_set(COUNT, channels=1).images
    out = coloured(images, grayscale=1.0, colour=ColourJitter(saturation=0.9, hue=0.5))
    assert torch.equal(out, images.float() / 255)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_everything_at_once_depends_on_key_and_index_alone(channels: int, threads: int) -> None:
    images = image_set(30, channels=channels, side=11)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        whole = _made(images, 30)
        state = torch.random.get_rng_state()
        for size in (1, 7):
            assert torch.equal(_made(images, size), whole)
        assert torch.equal(torch.random.get_rng_state(), state)
        turned = ImageSet(
            images=images.images.flip(0),
            labels=images.labels.flip(0),
            indices=images.indices.flip(0),
            classes=images.classes,
        )
        assert torch.equal(_made(turned, 5).flip(0), whole)
    finally:
        torch.set_num_threads(before)
    assert whole.shape == (30, channels, 9, 9)
    assert whole.isfinite().all()


def test_shares_are_those_of_the_hash() -> None:
    count = 20_000
    ramp = torch.arange(4, dtype=torch.uint8).view(1, 1, 1, 4).expand(count, 1, 1, 4)
    mirrored = windowed(ramp, draws(count), Augment(flip=0.25))[:, 0, 0, 0] == 3
    high = (keyed((*KEY, 3), torch.arange(count)) >> 40) & (2**24 - 1)
    assert torch.equal(mirrored, high >= 3 * 2**22)
    assert abs(mirrored.double().mean() - 0.25) < 5 * (0.25 * 0.75 / count) ** 0.5
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1).expand(count, 3, 1, 1)
    grey = coloured(red, grayscale=0.1)[:, 1, 0, 0] > 0
    assert abs(grey.double().mean() - 0.1) < 5 * (0.1 * 0.9 / count) ** 0.5
    assert abs((grey & mirrored).double().mean() - 0.025) < 5 * (0.025 / count) ** 0.5


def test_cutout_comes_after_normalisation() -> None:
    images = image_set(COUNT, side=8)
    plain, cut = (_made(images, 8, augment=Augment(flip=True, cutout=side)) for side in (0, 3))
    changed = cut != plain
    assert (cut[changed] == 0).all()
    assert 0 < changed.sum() <= COUNT * 3 * 9


def test_crops_and_fits_decide_the_size() -> None:
    images = image_set(5, side=12)
    options = BatchOptions(augment=Augment(resized_crop=ResizedCrop(size=5)), fit=7)
    made = Batches(images, batch_size=2, mean=(0, 0, 0), std=(1, 1, 1), options=options)
    assert made.shape == (3, 5, 5) == next(iter(made))[0].shape[1:]
    fitted = Batches(images, batch_size=2, mean=(0, 0, 0), std=(1, 1, 1), options=BatchOptions(fit=7))
    assert fitted.shape == (3, 7, 7) == next(iter(fitted))[0].shape[1:]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Augment(flip=1.5), r"augment\.flip: wanted a probability, 0 to 1, got 1\.5"),
        (lambda: Augment(cutout=-1), r"augment\.cutout: wanted 0 or more pixels"),
        (lambda: Augment(crop_padding="mirror"), r"augment\.crop_padding: wanted 'zeros' or 'reflect'"),  # type: ignore[arg-type]
        (lambda: ResizedCrop(size=0), r"resized_crop\.size: wanted 1 or more"),
        (lambda: ResizedCrop(size=4, scale=(0.5, 0.2)), r"resized_crop\.scale: wanted 0 < low <= high <= 1"),
        (lambda: ResizedCrop(size=4, ratio=(0, 1)), r"resized_crop\.ratio: wanted 0\.01 <= low <= high"),
        (lambda: ColourJitter(hue=0.6), r"colour\.hue: wanted 0 to 0\.5 turns"),
        (lambda: ColourJitter(contrast=-1), r"colour\.contrast: wanted 0 to 100"),
        (lambda: ColourJitter(brightness=float("nan")), r"colour\.brightness: wanted 0 to 100, got nan"),
        (lambda: Blur(sigma=(1, float("inf"))), r"blur\.sigma: wanted 0 < low <= high <= 1000"),
        (
            lambda: _made(image_set(4, side=4), 2, augment=Augment(blur=Blur(kernel=9))),
            r"blur\.kernel: wanted at most 7, because the image's 4 pixels are mirrored once, got 9",
        ),
        (lambda: Blur(kernel=4), r"blur\.kernel: wanted an odd number of pixels, got 4"),
        (lambda: Blur(sigma=(0, 1)), r"blur\.sigma: wanted 0 < low <= high"),
        (
            lambda: _made(image_set(4, side=4), 2, augment=Augment(crop=4, crop_padding="reflect")),
            r"augment\.crop: wanted less than the image's 4 pixels",
        ),
    ],
)
def test_wrong_options_are_refused(make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()


def _made(images: ImageSet, size: int, augment: Augment = EVERYTHING) -> Tensor:
    mean, std = (0.5, 0.4, 0.3)[: images.channels], (0.2, 0.25, 0.3)[: images.channels]
    made = Batches(images, batch_size=size, mean=mean, std=std, options=BatchOptions(augment=augment))
    return torch.cat([x for x, _ in made])


def test_autocast_around_the_loop_changes_nothing() -> None:
    images = image_set(10, side=11)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = _made(images, 5)
    assert torch.equal(inside, _made(images, 5))


def test_extreme_widths_of_blur_are_finite() -> None:
    images = image_set(10).images
    for sigma in ((1e-200, 1e-200), (1000.0, 1000.0)):
        assert coloured(images, blur=Blur(sigma=sigma, kernel=5, probability=1)).isfinite().all()
