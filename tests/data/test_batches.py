"""Batches and augmentation, against slow references that go image by image."""

from typing import Any

import pytest
import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data import Augment, Batches, BatchOptions, ImageSet
from secateurs.data._draws import Draws
from secateurs.data._window import windowed
from tests.data.making import image_set

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def batches(images: ImageSet, *, size: int = 6, seed: int = 0, **options: Any) -> Batches:
    return Batches(images, batch_size=size, mean=MEAN, std=STD, seed=seed, options=BatchOptions(**options))


def collected(made: Batches) -> tuple[Tensor, Tensor]:
    pairs = list(made)
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


def test_plain_batches_are_the_normalised_images_in_order() -> None:
    images = image_set()
    x, y = collected(batches(images))
    wanted = (images.images.double() / 255 - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.double(), wanted, rtol=0, atol=1e-6)
    assert torch.equal(y, images.labels)


def test_lengths_and_the_last_batch() -> None:
    whole, dropped = batches(image_set()), batches(image_set(), drop_last=True)
    assert [len(y) for _, y in whole] == [6, 6, 6, 2]
    assert [len(y) for _, y in dropped] == [6, 6, 6]
    assert (len(whole), len(dropped)) == (4, 3)
    assert len(batches(image_set(), size=10)) == 2


def test_shuffled_epochs_hold_every_image_once_in_new_orders() -> None:
    images = image_set(40)
    made = batches(images, shuffle=True)
    orders = []
    for epoch in (0, 1, 0):
        made.set_epoch(epoch)
        x, _ = collected(made)
        orders.append(x)
        plain, _ = collected(batches(images))
        assert torch.equal(x.flatten(1).sort(0).values, plain.flatten(1).sort(0).values)
    assert torch.equal(orders[0], orders[2])
    assert not torch.equal(orders[0], orders[1])
    other, _ = collected(batches(images, shuffle=True, seed=1))
    assert not torch.equal(orders[0], other)


def test_images_and_labels_stay_together_when_shuffled() -> None:
    images = image_set(40)
    plain_x, plain_y = collected(batches(images))
    label = {x.numpy().tobytes(): int(y) for x, y in zip(plain_x, plain_y, strict=True)}
    x, y = collected(batches(images, shuffle=True))
    assert [label[image.numpy().tobytes()] for image in x] == y.tolist()


def test_what_an_image_gets_depends_on_neither_batch_size_nor_order() -> None:
    images = image_set(40)
    augment = Augment(crop=2, flip=True)
    first, _ = collected(batches(images, size=7, shuffle=True, augment=augment))
    second, _ = collected(batches(images, size=16, shuffle=True, augment=augment))
    assert torch.equal(first, second)
    unshuffled, _ = collected(batches(images, size=40, augment=augment))
    assert {x.numpy().tobytes() for x in unshuffled} == {x.numpy().tobytes() for x in first}


def test_a_subset_of_the_images_is_augmented_the_same() -> None:
    images = image_set(40)
    half = ImageSet(
        images=images.images[::2], labels=images.labels[::2], indices=images.indices[::2], classes=images.classes
    )
    augment = Augment(crop=2, flip=True)
    whole, _ = collected(batches(images, augment=augment))
    part, _ = collected(batches(half, augment=augment))
    assert torch.equal(whole[::2], part)


def test_epochs_and_seeds_augment_differently() -> None:
    made = batches(image_set(40), augment=Augment(crop=2))
    first, _ = collected(made)
    made.set_epoch(1)
    second, _ = collected(made)
    third, _ = collected(batches(image_set(40), seed=5, augment=Augment(crop=2)))
    assert not torch.equal(first, second)
    assert not torch.equal(first, third)


def test_a_loop_keeps_the_epoch_that_it_began_with() -> None:
    made = batches(image_set(), shuffle=True, augment=Augment(flip=True))
    wanted, _ = collected(made)
    got = []
    for x, _ in made:
        got.append(x)
        made.set_epoch(9)
    assert torch.equal(torch.cat(got), wanted)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("crop", [0, 1, 3])
@pytest.mark.parametrize("shape", [(8, 8), (5, 9)])
def test_every_result_is_a_window_of_the_padded_image(flip: bool, crop: int, shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (30, 3, *shape), dtype=torch.uint8, generator=generator)
    out = windowed(images, Draws((0, 0), torch.arange(30)), Augment(crop=crop, flip=flip))
    seen = set()
    for image, result in zip(images, out, strict=True):
        padded = torch.nn.functional.pad(image, (crop,) * 4)
        candidates = {
            (down, right, mirrored): window.flip(2) if mirrored else window
            for down in range(2 * crop + 1)
            for right in range(2 * crop + 1)
            for mirrored in ((False, True) if flip else (False,))
            for window in [padded[:, down : down + shape[0], right : right + shape[1]]]
        }
        found = [key for key, window in candidates.items() if torch.equal(window, result)]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) > min(12, len(candidates) - 1)


def test_flips_are_half_and_offsets_uniform_and_independent() -> None:
    count, crop = 20_000, 1
    ramp = (torch.arange(25, dtype=torch.uint8) + 1).view(1, 1, 5, 5).expand(count, 1, 5, 5)
    out = windowed(ramp, Draws((0, 0), torch.arange(count)), Augment(crop=crop, flip=True))
    # The centre tells the offsets, its neighbours whether it was mirrored.
    centre = out[:, 0, 2, 2].long() - 1
    mirrored = (out[:, 0, 2, 1] > out[:, 0, 2, 3]).long()
    kinds = centre // 5 * 10 + centre % 5 * 2 + mirrored
    counts = torch.bincount(kinds)
    counts = counts[counts > 0].double()
    assert len(counts) == 18
    assert (counts - count / 18).abs().max() < 5 * (count / 18) ** 0.5


def test_borders_are_black_before_normalisation() -> None:
    white = ImageSet(
        images=torch.full((50, 3, 4, 4), 255, dtype=torch.uint8),
        labels=torch.zeros(50, dtype=torch.int64),
        indices=torch.arange(50),
        classes=("x",),
    )
    x, _ = collected(batches(white, augment=Augment(crop=2)))
    for channel in range(3):
        black, full = -MEAN[channel] / STD[channel], (1 - MEAN[channel]) / STD[channel]
        values = x[:, channel].unique()
        torch.testing.assert_close(values, torch.tensor([black, full]), rtol=1e-5, atol=1e-5)


def test_channels_last_changes_the_layout_only() -> None:
    augment = Augment(crop=2, flip=True)
    plain, _ = next(iter(batches(image_set(), augment=augment)))
    last, _ = next(iter(batches(image_set(), augment=augment, channels_last=True)))
    assert plain.is_contiguous()
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(plain, last)


def test_batches_leave_the_images_and_the_global_generator_alone() -> None:
    images = image_set()
    before, state = images.images.clone(), torch.random.get_rng_state()
    collected(batches(images, shuffle=True, augment=Augment(crop=2, flip=True)))
    assert torch.equal(images.images, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert batches(images).images.images.dtype == torch.uint8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_devices_draw_the_same() -> None:
    options: dict[str, Any] = {"shuffle": True, "augment": Augment(crop=2, flip=True)}
    on_cpu, _ = collected(batches(image_set(), **options))
    on_gpu, labels = collected(batches(image_set(), device="auto", **options))
    assert on_gpu.is_cuda
    assert labels.is_cuda
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=0, atol=1e-6)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(DataError, match=r"batch_size: wanted 1 or more images, got 0"):
        batches(image_set(), size=0)
    with pytest.raises(DataError, match=r"Batches: wanted at least 1 images, got 0"):
        batches(image_set(0))
    with pytest.raises(DataError, match=r"Batches: wanted at least 30 images, got 20\. .*drop_last=False"):
        batches(image_set(), size=30, drop_last=True)
    with pytest.raises(DataError, match=r"Batches\.mean: wanted 1 numbers"):
        batches(image_set(channels=1))
    with pytest.raises(DataError, match=r"augment\.crop: wanted 0 or more pixels, got -1"):
        Augment(crop=-1)


def test_image_sets_check_their_tensors() -> None:
    good = image_set()
    with pytest.raises(DataError, match=r"ImageSet\.images: wanted uint8 \[N, C, H, W\], got torch\.float32"):
        ImageSet(images=good.images.float(), labels=good.labels, indices=good.indices, classes=good.classes)
    with pytest.raises(DataError, match=r"ImageSet\.labels: wanted int64 \[20\], one for each image, got .* \[19\]"):
        ImageSet(images=good.images, labels=good.labels[1:], indices=good.indices, classes=good.classes)


def test_a_short_epoch_takes_the_first_images_of_the_order_and_others_in_the_next() -> None:
    images = image_set(40)
    whole, short = batches(images, shuffle=True), batches(images, shuffle=True, epoch_images=10)
    seen = []
    for epoch in (0, 1):
        for made in (whole, short):
            made.set_epoch(epoch)
        x, _ = collected(short)
        assert torch.equal(x, collected(whole)[0][:10])
        seen.append(x)
    assert not torch.equal(seen[0].flatten(1).sort(0).values, seen[1].flatten(1).sort(0).values)
    assert [len(y) for _, y in short] == [6, 4]
    assert (len(short), short.global_size(1)) == (2, 4)
    assert len(batches(images, epoch_images=100)) == len(batches(images))


def test_ranks_share_a_short_epoch() -> None:
    images = image_set(40)
    alone, _ = collected(batches(images, shuffle=True, epoch_images=9))
    parts = [batches(images, shuffle=True, epoch_images=9, shard=(rank, 2)) for rank in (0, 1)]
    together = [torch.cat([x for x, _ in pair]) for pair in zip(*parts, strict=True)]
    assert torch.equal(torch.cat(together), alone)
