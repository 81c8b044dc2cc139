"""The command `convert`, and what it says of files that are not what they should be."""

from pathlib import Path

import pytest

from secateurs._errors import ConfigError, SecateursError
from secateurs.convert import convert
from secateurs.recipes import parse, parse_yaml, read_yaml
from tests.convert._files import ini, pruning, static
from tests.test_cli import call, complaint


def test_the_recipe_is_printed_and_the_notes_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = pruning(tmp_path, Prune_Filters="True", Finetune="True")
    assert call("convert", str(path)) == 0
    printed = capsys.readouterr()
    made = convert(path)
    assert printed.out == made.text()
    assert parse_yaml(printed.out, where="out") == made.recipe
    assert printed.err.splitlines() == [str(note) for note in made.notes]
    head = [line for line in printed.out.splitlines() if line.startswith("# ")]
    assert head[1:] == [f"# {note}" for note in made.notes]


def test_the_recipe_is_written_and_nothing_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new.yaml"
    assert call("convert", str(static(tmp_path)), "--out", str(out)) == 0
    assert capsys.readouterr().out == ""
    assert parse(read_yaml(out), source="new.yaml").name == "static"
    assert "wanted a new file" in complaint(capsys, "convert", str(static(tmp_path)), "--out", str(out))


def test_flags_of_other_programs_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(capsys, "convert", str(static(tmp_path)), "--", "--lr", "1")
    assert "--lr 1: wanted flags for a file that ends in .yaml or .yml only" in said


@pytest.mark.parametrize("name", ["none.ini", "none.json", "none.yml"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(SecateursError, match=f"{name}: wanted a config file, got No such file"):
        convert(tmp_path / name)


def test_an_ending_that_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"wanted a file that ends in \.ini, .*, got '\.txt'"):
        convert(tmp_path / "old.txt")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("Dataset : cifar10\n", r"old\.ini, line 1: wanted a section such as \[dataset\] before any key"),
        ("[dataset]\nDataset\n", r"old\.ini, line 2: wanted KEY = VALUE"),
        ("[dataset]\nDataset: a\ndataset: b\n", r"old\.ini, line 3, \[dataset\] dataset: wanted each key once"),
        ("[cnn]\nDepth: 2\n[cnn]\n", r"old\.ini, line 3, \[cnn\]: wanted each section once"),
        ("[datasets]\nDataset: a\n", r"\[datasets\]: wanted a known section, got 'datasets'\. Did you mean 'dataset'"),
        ("[DEFAULT]\nDataset: a\n", r"\[DEFAULT\]: wanted a known section"),
        ("[cnn]\nArchitectur: a\n", r"\[cnn\] architectur: wanted a known key, .* Did you mean 'architecture'\?"),
        ("[cnn]\nMomentum: 1\n", r"\[cnn\] momentum: .* It belongs in \[training_hyperparameters\]\."),
    ],
)
def test_malformed_sections(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "old.ini").write_text(text)
    with pytest.raises(ConfigError, match=match):
        convert(tmp_path / "old.ini")


@pytest.mark.parametrize(
    ("section", "key", "value", "match"),
    [
        ("cnn", "Architecture", "alexnte", r"wanted one of alexnet, .*, got 'alexnte'\. Did you mean 'alexnet'\?"),
        ("cnn", "Architecture", None, r"wanted one of alexnet.*, got nothing|Add the key"),
        ("dataset", "Dataset", "cifar", r"Dataset: wanted one of cifar10, cifar100, got 'cifar'"),
        ("training_hyperparameters", "Train_Batch", "0", r"Train_Batch: wanted a number of at least 1, got '0'"),
        ("training_hyperparameters", "Train_Batch", "2.5", r"wanted a whole number of at least 1, got '2\.5'"),
        ("training_hyperparameters", "Gamma", "nan", r"Gamma: wanted a number of at least 0, got 'nan'"),
        (
            "training_hyperparameters",
            "LR_Schedule",
            "0 0.1 5",
            r"LR_Schedule: wanted pairs of a rising epoch and a rate",
        ),
        ("training_hyperparameters", "LR_Schedule", "5 -1 0 0.1", r"pairs of a rising epoch and a rate"),
        ("training_hyperparameters", "Train_Val_Split", "0", r"the share of images to train on, above 0, got '0'"),
        ("training_hyperparameters", "Momentum_Schedule", "0", r"pairs of an epoch and a momentum"),
        ("pruning_hyperparameters", "Pruning_Perc", "100", r"a percentage above 0 and below 100, got '100'"),
        ("pruning_hyperparameters", "Pruning_Perc", None, r"Pruning_Perc: wanted a value .* Add the key\."),
        ("pruning_hyperparameters", "Finetune", "maybe", r"Finetune: wanted true or false, got 'maybe'"),
        ("pruning_hyperparameters", "Metric", "gradient", r"Metric: wanted one of weights, filters, got 'gradient'"),
        ("pruning_hyperparameters", "Prune_Weights", "True", r"Prune_Weights or Prune_Filters, not both, got 'True'"),
        ("pytorch_parameters", "Manual_Seed", "%(x)s", r"Manual_Seed: wanted a number, got '%\(x\)s'"),
    ],
)
def test_values_that_make_no_sense(tmp_path: Path, section: str, key: str, value: str | None, match: str) -> None:
    keys: dict[str, dict[str, str | None]] = {"pruning_hyperparameters": {"Prune_Filters": "True", "Finetune": "True"}}
    keys.setdefault(section, {})[key] = value
    with pytest.raises(ConfigError, match=match):
        convert(ini(tmp_path, keys))


def test_what_a_file_says_stays_in_its_comment(tmp_path: Path) -> None:
    """Nothing that a value holds ends the comment, or steers a terminal."""
    path = pruning(tmp_path, Logs="a\x1b[31m\u2028b: " + "x" * 500)
    text = convert(path).text()
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines() if line.startswith("# ")) < 300
    assert parse_yaml(text, where="text")["name"] == "alexnet-aquatic"
