"""Several versions of some images, against batches of the same images at other epochs."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from secateurs._errors import DataError
from secateurs.data import (
    Augment,
    AugmentedView,
    Batches,
    BatchOptions,
    ColourJitter,
    DataOptions,
    ImageSet,
    ResizedCrop,
    ViewOptions,
    hard_augment,
    load,
    make_batches,
)
from secateurs.data._streamed_set import StreamedSet
from tests.data.making import image_set, write_folder

NORMALISATION = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def view(images: ImageSet | StreamedSet, chosen: ViewOptions, options: BatchOptions | None = None) -> AugmentedView:
    return AugmentedView(images, NORMALISATION, chosen, options=options)


def versions(made: AugmentedView) -> Tensor:
    """[images, versions, C, H, W]."""
    x = torch.cat([x for x, _ in made])
    return x.view(-1, made.augmentations, *x.shape[1:])


def test_the_published_augmentation_is_the_usual_one() -> None:
    jitter = ColourJitter(brightness=0.9, contrast=0.9, saturation=0.9, hue=0.1, probability=1.0)
    crop = ResizedCrop(size=32, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3))
    assert hard_augment(32) == Augment(resized_crop=crop, flip=0.5, colour=jitter, grayscale=0.1)
    options = ViewOptions()
    assert (options.images, options.augmentations, options.batch_size) == (1000, 10, 500)


def test_version_j_is_what_epoch_j_of_training_would_see() -> None:
    images = image_set(9)
    found = versions(view(images, ViewOptions(augmentations=3, batch_size=4, seed=5)))
    for epoch in range(3):
        options = BatchOptions(augment=hard_augment(8))
        mean, std = NORMALISATION
        training = Batches(images, batch_size=9, mean=mean, std=std, seed=5, options=options)
        training.set_epoch(epoch)
        ((x, _),) = training
        assert torch.equal(found[:, epoch], x)
    assert not torch.equal(found[:, 0], found[:, 1])


def test_batch_size_and_other_images_do_not_change_a_version() -> None:
    images = image_set(12)
    whole = versions(view(images, ViewOptions(augmentations=2, batch_size=100)))
    for size in (1, 5):
        assert torch.equal(versions(view(images, ViewOptions(augmentations=2, batch_size=size))), whole)
    some = AugmentedView(images, NORMALISATION, ViewOptions(augmentations=2), indices=torch.tensor([1007, 1002]))
    assert torch.equal(versions(some), whole[[7, 2]])
    assert some.indices.tolist() == [1007, 1002]


def test_labels_and_indices_go_with_their_images() -> None:
    images = image_set(20)
    made = view(images, ViewOptions(images=7, augmentations=3, batch_size=4))
    labels = torch.cat([y for _, y in made])
    wanted = images.labels[made.indices - 1000].repeat_interleave(3)
    assert torch.equal(labels, wanted)
    assert [len(x) for x, _ in made] == [12, 9]
    assert (len(made), made.global_size(0), made.global_size(1)) == (2, 4, 3)
    assert len(set(made.indices.tolist())) == 7


def test_the_list_is_one_for_all_levels_or_one_for_each() -> None:
    images = image_set(200)
    one, again, other, seed = (
        view(images, ViewOptions(images=20, augmentations=1, level=level, seed=seed)).indices
        for level, seed in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one, seed)


def test_images_are_normalised_once() -> None:
    still = Augment(flip=0.0)
    images = image_set(5)
    found = versions(view(images, ViewOptions(augmentations=2, augment=still)))
    mean, std = (torch.tensor(values)[:, None, None] for values in NORMALISATION)
    wanted = (images.images.float() / 255 - mean) / std
    torch.testing.assert_close(found, wanted[:, None].expand(-1, 2, -1, -1, -1))


def test_memory_format_and_shards_are_those_asked_for() -> None:
    images = image_set(7)
    whole = versions(view(images, ViewOptions(augmentations=2, batch_size=3)))
    parts = [
        view(
            images,
            ViewOptions(augmentations=2, batch_size=3),
            options=BatchOptions(shard=(rank, 2), channels_last=True),
        )
        for rank in range(2)
    ]
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x, _ in parts[0])
    # Steps of 3, 3 and 1 images: a step of one image is seen by both.
    assert torch.equal(versions(parts[0]), whole[[0, 3, 6]])
    assert torch.equal(versions(parts[1]), whole[[1, 2, 4, 5, 6]])


def test_streamed_images_give_the_same_views(tmp_path: Path) -> None:
    write_folder(tmp_path, ["a", "b"], 8)
    made = []
    for resident in (True, False):
        splits = load(DataOptions(path=tmp_path, resident=resident))
        made.append(view(splits.train, ViewOptions(images=5, augmentations=2, batch_size=3)))
    assert torch.equal(made[0].indices, made[1].indices)
    assert torch.equal(versions(made[0]), versions(made[1]))


def test_a_view_of_batches_is_fed_as_they_are() -> None:
    images = image_set(10)
    mean, std = NORMALISATION
    batches = make_batches(images, batch_size=4, mean=mean, std=std, options=BatchOptions(fit=6))
    made = ViewOptions(augmentations=2)(batches)
    assert made.shape == (3, 6, 6)
    assert torch.equal(
        versions(made), versions(view(images, ViewOptions(augmentations=2), options=BatchOptions(fit=6)))
    )


def test_refuses_what_no_view_can_be_made_of() -> None:
    images = image_set(6)
    with pytest.raises(DataError, match=r"view\.augmentations.*1 or more.*got 0"):
        ViewOptions(augmentations=0)
    with pytest.raises(DataError, match=r"indices of the images.*1 others, as 7"):
        AugmentedView(images, NORMALISATION, indices=torch.tensor([1001, 7]))
    wide = ImageSet(
        images=images.images[:, :, :4], labels=images.labels, indices=images.indices, classes=images.classes
    )
    with pytest.raises(DataError, match="8 x 4 pixels"):
        AugmentedView(wide, NORMALISATION)
    with pytest.raises(DataError, match="got list"):
        ViewOptions()([torch.zeros(2, 3, 8, 8)])
