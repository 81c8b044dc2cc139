"""Labels that have nothing to do with their images."""

import torch

from secateurs.data import DataOptions, ImageSet, load


def test_training_labels_are_permuted_once_and_test_labels_are_not() -> None:
    plain, shuffled = (load(DataOptions(name="digits", shuffle_labels=shuffle)) for shuffle in (False, True))
    for name in ("train", "validation"):
        true, false = getattr(plain, name).labels, getattr(shuffled, name).labels
        assert torch.equal(true.bincount(), false.bincount())
        assert 0.03 < float((true == false).float().mean()) < 0.25  # by chance one in ten
    assert torch.equal(plain.test.labels, shuffled.test.labels)
    assert isinstance(plain.train, ImageSet)
    assert isinstance(shuffled.train, ImageSet)
    assert torch.equal(plain.train.images, shuffled.train.images)
    again = load(DataOptions(name="digits", shuffle_labels=True))
    assert torch.equal(again.train.labels, shuffled.train.labels)
    other = load(DataOptions(name="digits", shuffle_labels=True, split_seed=1))
    assert not torch.equal(other.train.labels, shuffled.train.labels)


def test_streamed_images_get_the_same_labels() -> None:
    held, streamed = (load(DataOptions(name="digits", shuffle_labels=True, resident=value)) for value in (True, False))
    assert torch.equal(held.train.labels, streamed.train.labels)
