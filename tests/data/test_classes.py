"""Subsets of classes: what they are called, and that all else is as without them."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from secateurs._errors import DataError
from secateurs.data import DataOptions, ImageSet, StreamedSet, Subset, load
from secateurs.data._cifar100 import CLASSES, SUBSETS, SUPERCLASSES
from secateurs.data._classes import Asked, vocabulary
from secateurs.data._split import Groups, Split
from tests.data.making import cells, load_held, write_folder, write_plain

DATA = Path(os.environ.get("SECATEURS_DATA", ""))
FINE = {name: number for number, name in enumerate(CLASSES)}


def split(classes: tuple[str, ...], labels: list[int] | None = None, groups: Groups | None = None) -> Split:
    """A split without images."""
    rows = torch.tensor(range(len(classes)) if labels is None else labels)
    return Split(
        where="here",
        labels=rows,
        classes=classes,
        pictures=lambda _: iter(()),
        headers=lambda _: iter(()),
        groups=lambda: groups,
    )


def subset_of(asked: Asked, rows: Split, name: str) -> Subset:
    return vocabulary(rows, name).subset(asked)


def grouped(labels: list[int], groups: list[int]) -> Split:
    kinds = Groups(column="kind", labels=torch.tensor(groups), names=("pet", "fish"))
    return split(("cat", "dog", "cod", "fish"), labels, kinds)


# ---------------------------------------------------------------- names


def test_names_numbers_and_super_classes_mean_classes() -> None:
    animals = grouped([0, 1, 2, 3, 0], [0, 0, 1, 1, 0])
    cases: tuple[tuple[Asked, tuple[int, ...]], ...] = (
        ("cat", (0,)),
        (["dog", 2], (1, 2)),
        (["class:fish", 3], (3,)),
        ("pet", (0, 1)),
        (["pet", "cod", 0], (0, 1, 2)),
        ("superclass:fish", (2, 3)),
        ("entire_dataset", (0, 1, 2, 3)),
    )
    for asked, ids in cases:
        found = subset_of(asked, animals, "animals")
        assert (found.ids, found.classes) == (ids, animals.classes), asked
    assert subset_of(["pet", "cod"], animals, "animals").name == "pet+cod"
    assert subset_of(["pet", "cod"], animals, "animals").names == ("cat", "dog", "cod")


def test_what_means_nothing_or_two_things_is_refused() -> None:
    animals = grouped([0, 1, 2, 3], [0, 0, 1, 1])
    with pytest.raises(DataError, match=r"data\.classes: wanted a class, .* here, got 'cats'\. Did you mean 'cat'\?"):
        subset_of("cats", animals, "animals")
    with pytest.raises(DataError, match=r"got 'x'\. Classes are cat, dog, cod, fish; super-classes pet, fish; subsets"):
        subset_of("x", animals, "animals")
    with pytest.raises(DataError, match=r"'fish', which is a class and a superclass of .* Write class:fish or super"):
        subset_of("fish", animals, "animals")
    for number in (4, -1):
        with pytest.raises(DataError, match=rf"data\.classes: wanted 0 to 3 in here, got {number}\."):
            subset_of([number], animals, "animals")
    with pytest.raises(DataError, match=r"one super-class for every class of here, got 'pet' and 'fish' in column"):
        subset_of("pet", grouped([0, 0], [0, 1]), "animals")
    with pytest.raises(DataError, match=r"got 'seven'\. .*data\.superclass_column names the column"):
        subset_of("seven", split(("0", "1")), "digits")
    for empty in ("", ()):
        with pytest.raises(DataError, match=r"data\.classes: wanted a name, or a list that is not empty"):
            DataOptions(name="digits", classes=empty)


def test_the_named_subsets_of_cifar100() -> None:
    counts = {"aquatic": 2, "indoors": 3, "outdoor": 7, "subset1": 7, "natural": 8, "random1": 13}
    assert {name: len(parts) for name, parts in SUBSETS.items()} == counts
    assert len(CLASSES) == len(set(CLASSES)) == 100
    full, coarse = split(CLASSES), split(tuple(SUPERCLASSES))
    for name, parts in SUBSETS.items():
        ids = subset_of(name, full, "anything").ids
        assert ids == tuple(sorted(FINE[fine] for part in parts for fine in SUPERCLASSES[part]))
        assert subset_of(name, coarse, "anything").ids == tuple(sorted(list(SUPERCLASSES).index(p) for p in parts))
    assert subset_of(["fish", "clock"], full, "anything").ids == (1, 22, 32, 67, 73, 91)


def test_cifar100_from_files_that_have_numbers_only_goes_by_its_name() -> None:
    numbers = split(tuple(map(str, range(100))))
    for name in ("cifar100", "uoft-cs/cifar100", "CIFAR-100"):
        assert subset_of("fish", numbers, name).names == ("1", "32", "67", "73", "91")
        assert subset_of(["beaver", "7", 9], numbers, name).ids == (4, 7, 9)
    with pytest.raises(DataError, match="got 'fish'"):
        subset_of("fish", numbers, "plates")


# ---------------------------------------------------------------- images


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("limit", [None, 400])
def test_a_subset_is_the_whole_without_the_other_images(resident: bool, limit: int | None) -> None:
    common: dict[str, Any] = {"name": "digits", "validation_ratio": 0.2, "limit": limit}
    whole, part = load(DataOptions(**common)), load(DataOptions(**common, classes=(4, 0, 7), resident=resident))
    assert (part.mean, part.std, part.train.classes) == (whole.mean, whole.std, whole.train.classes)
    assert isinstance(part.train, ImageSet if resident else StreamedSet)
    for one, all_of in ((part.train, whole.train), (part.validation, whole.validation), (part.test, whole.test)):
        wanted = torch.isin(all_of.labels, torch.tensor([0, 4, 7]))
        assert torch.equal(one.indices, all_of.indices[wanted])
        assert torch.equal(one.labels, all_of.labels[wanted])
        assert isinstance(all_of, ImageSet)
        images = one.images if isinstance(one, ImageSet) else torch.stack(list(one.read(range(len(one)))))
        assert torch.equal(images, all_of.images[wanted])
    assert part.all_classes == whole.all_classes


def test_labels_may_count_the_subset_alone() -> None:
    part = load(DataOptions(name="digits", classes=(4, 0, 7)))
    counted = load(DataOptions(name="digits", classes=(4, 0, 7))).renumbered()
    assert counted.train.classes == ("0", "4", "7")
    assert counted.all_classes == tuple("0123456789")
    assert torch.equal(torch.tensor([0, 4, 7])[counted.test.labels], part.test.labels)
    assert counted.renumbered() is counted
    assert (part.among, counted.among) == ((0, 4, 7), None)
    whole = load(DataOptions(name="digits"))
    assert whole.renumbered() is whole
    assert whole.among is None


def test_a_part_of_what_is_loaded() -> None:
    whole, part = load(DataOptions(name="digits")), load(DataOptions(name="digits", classes=(4, 0, 7)))
    assert whole.only((4, 0, 7)).among == (0, 4, 7)
    for splits in (whole, part):
        few = splits.only([7, 4])
        wanted = whole.test.indices[torch.isin(whole.test.labels, torch.tensor([4, 7]))]
        assert torch.equal(few.test.indices, wanted)
        assert isinstance(few.test, ImageSet)
        assert len(few.test.images) == len(wanted)
        assert (few.test.labels.unique().tolist(), few.among, few.mean) == ([4, 7], (4, 7), whole.mean)
    counted = part.renumbered().only([7, 4])
    assert (counted.test.labels.unique().tolist(), counted.among) == ([1, 2], (1, 2))
    with pytest.raises(DataError, match=r"data\.classes: wanted classes among 0\+4\+7, got 7\+9"):
        load(DataOptions(name="digits", classes=(0, 4, 7))).only([7, 9])


def test_four_fifths_of_every_class_are_for_training() -> None:
    splits = load(DataOptions(name="digits", classes=(0, 1, 2, 3, 4), validation_ratio=0.2, test_ratio=0.2))
    counts = [torch.bincount(part.labels, minlength=10) for part in (splits.train, splits.validation)]
    assert counts[0][5:].sum() == 0
    shares = counts[0][:5] / (counts[0] + counts[1])[:5]
    assert bool(((shares - 0.8).abs() < 0.01).all())


def test_classes_of_folders_and_of_columns(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets", ["cat", "cod", "dog"], 10)
    splits = load_held(DataOptions(path=tmp_path / "pets", classes=("dog", "cat")))
    assert splits.train.labels.unique().tolist() == [0, 2]
    assert splits.train.classes == ("cat", "cod", "dog")
    labels, kinds = [0, 1, 2] * 10, ["warm", "cold", "warm"] * 10
    write_plain(tmp_path / "a.parquet", {"img": cells(30), "label": labels, "kind": kinds})
    options: dict[str, Any] = {"path": tmp_path / "a.parquet", "classes": "warm"}
    assert load_held(DataOptions(**options, superclass_column="kind")).test.labels.unique().tolist() == [0, 2]
    with pytest.raises(DataError, match=r"got 'warm'\. .*data\.superclass_column names the column"):
        load(DataOptions(**options))
    with pytest.raises(DataError, match=r"wanted superclass_column to be one of img, label, kind, got 'kin'\. Did you"):
        load(DataOptions(**options, superclass_column="kin"))
    half: dict[str, Any] = {"img": cells(30), "label": labels, "superclass": ["warm", None, None] * 10}
    write_plain(tmp_path / "half.parquet", half)
    assert load(DataOptions(path=tmp_path / "half.parquet", classes=(0, 1))).among == (0, 1)
    with pytest.raises(DataError, match="row 1: wanted a label, got none"):
        load(DataOptions(path=tmp_path / "half.parquet", classes=(0, 1), superclass_column="superclass"))
    write_plain(tmp_path / "b.parquet", {"img": cells(30), "label": labels, "superclass": kinds})
    assert load(DataOptions(path=tmp_path / "b.parquet", classes="cold")).train.labels.unique().tolist() == [1]


def test_a_subset_without_images_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", ["cat", "dog"], 5)
    write_folder(tmp_path / "test", ["dog"], 3, start=500)
    with pytest.raises(DataError, match=r"wanted images to train and to test on, got 4 and 0\. .* or data\.classes"):
        load(DataOptions(path=tmp_path, classes="cat"))


def test_mixed_labels_stay_within_the_subset() -> None:
    splits = load(DataOptions(name="digits", classes=(1, 2), shuffle_labels=True))
    plain = load(DataOptions(name="digits", classes=(1, 2)))
    assert splits.train.labels.unique().tolist() == [1, 2]
    assert not torch.equal(splits.train.labels, plain.train.labels)
    assert torch.equal(splits.test.labels, plain.test.labels)


@pytest.mark.skipif(not (DATA / "cifar100").is_dir(), reason="SECATEURS_DATA names no folder with cifar100")
def test_real_cifar100() -> None:
    constants: dict[str, Any] = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)}
    splits = load(DataOptions(path=DATA / "cifar100", classes="aquatic", validation_ratio=0.2, **constants))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [4000, 1000, 1000]
    assert splits.subset is not None
    assert splits.all_classes == CLASSES
    counts = torch.bincount(splits.train.labels, minlength=100)
    assert {CLASSES[number] for number in counts.nonzero().flatten()} == set(splits.subset.names)
    assert counts[counts > 0].unique().tolist() == [400]
    assert (splits.mean, splits.std) == (constants["mean"], constants["std"])


@pytest.mark.skipif(not (DATA / "cifar100").is_dir(), reason="SECATEURS_DATA names no folder with cifar100")
def test_the_table_of_cifar100_is_what_its_files_say() -> None:
    from secateurs.data._source import read_splits, source_of

    options = DataOptions(path=DATA / "cifar100", superclass_column="coarse_label")
    train, _ = read_splits(source_of(options), options)
    groups = train.groups()
    assert groups is not None
    assert (train.classes, groups.names) == (CLASSES, tuple(SUPERCLASSES))
    pairs = set(zip(train.labels.tolist(), groups.labels.tolist(), strict=True))
    assert {(CLASSES[fine], groups.names[coarse]) for fine, coarse in pairs} == {
        (name, group) for group, names in SUPERCLASSES.items() for name in names
    }
