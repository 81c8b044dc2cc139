"""What docs/safety.md promises: no code from files, no path out of the run directory, no name that is a path."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest

import secateurs
from secateurs import SecateursError
from secateurs._files import load_tensors, make_directory
from secateurs.data import DataOptions, load
from secateurs.graph import Plan
from secateurs.recipes import find_recipe, parse, read_yaml
from secateurs.recipes._directory import RunDirectory
from tests.recipes._studies import TRAIN, config

SOURCES = sorted(Path(secateurs.__file__).parent.rglob("*.py"))
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "pandas"}
CODE = {"eval", "exec", "compile", "__import__"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with its dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield ast.unparse(node.func), node


def says(call: ast.Call, keyword: str, value: object) -> bool:
    """Whether a call has keyword=value, written out."""
    found = [word.value for word in call.keywords if word.arg == keyword]
    return bool(found) and isinstance(found[0], ast.Constant) and found[0].value is value


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_source_unpickles_or_runs_what_it_reads(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not UNPICKLERS & {name.partition(".")[0] for name in names}
    for name, call in calls(tree):
        assert name not in CODE
        assert name not in {"yaml.unsafe_load", "yaml.full_load", "np.fromfile", "torch.jit.load", "torch.hub.load"}
        assert name != "torch.load" or says(call, "weights_only", True)
        assert name != "yaml.load" or [ast.unparse(word.value) for word in call.keywords] == ["_Loader"]
        assert name not in {"np.load", "numpy.load"} or says(call, "allow_pickle", False)
        assert not {"trust_remote_code", "shell"} & {word.arg for word in call.keywords}


def test_the_checks_see_what_they_look_for() -> None:
    found = dict(calls(ast.parse("torch.load(f)\neval('1')\nnp.load(f, allow_pickle=False)")))
    assert set(found) == {"torch.load", "eval", "np.load"}
    assert says(found["np.load"], "allow_pickle", False)
    assert not says(found["torch.load"], "weights_only", True)


HOSTILE_NAMES = (
    "",
    ".",
    "..",
    "../up",
    "a/b",
    "a\\b",
    "/etc",
    "~",
    ".hidden",
    "-rf",
    "CON",
    "nul.txt",
    "Lpt1",
    "ends.",
    "a b",
    "a\nb",
    "a\0b",
    "e\u0301",
    "\u202ename",
    "\uff0e\uff0e",
    "a\u2215b",
    "x" * 101,
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("place", ["recipe", "stage", "variant"])
def test_names_that_become_folders_are_plain(place: str, name: str) -> None:
    values: dict[str, dict[str, Any]] = {"recipe": {"name": name}, "variant": {"variants": {name: {}}}}
    stage = {**TRAIN, "name": name} if place == "stage" else TRAIN
    with pytest.raises(SecateursError):
        parse(config(stage, **values.get(place, {})), source="x.yaml")


@pytest.mark.parametrize("name", ["a", "resnet-20_b.2", "con1", "x" * 100])
def test_plain_names_are_taken(name: str) -> None:
    recipe = parse(config({**TRAIN, "name": name}, name=name, variants={name: {}}), source="x.yaml")
    assert recipe.name == name


HOSTILE_DATA = (
    "./x",
    "../x/y",
    "/etc/passwd",
    "x",
    "csv",
    "pandas",
    "imagefolder",
    "owner/name.py",
    "owner/../name",
    "owner/na--me",
    "owner/name/more",
    "https://host/name",
    "hf://datasets/a/b",
    "s3://a/b",
    "owner\\name",
    "~/name",
    "owner/.name",
    "owner/name.git",
    "",
    "digits ",
    "owner/n\u0430me",
    "owner/" + "x" * 97,
)


@pytest.mark.parametrize("name", HOSTILE_DATA)
def test_names_of_data_are_checked_before_anybody_is_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("load_dataset was called")

    monkeypatch.setattr(datasets, "load_dataset", asked)
    with pytest.raises(SecateursError, match=r"data\.name: wanted one of digits, mnist, .*, or OWNER/NAME"):
        load(DataOptions(name=name))


def test_a_folder_of_the_name_is_not_read_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "owner" / "name" / "name.py"
    script.parent.mkdir(parents=True)
    script.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SecateursError, match=r"data\.name=owner/name: .* got a path that is here, too"):
        load(DataOptions(name="owner/name"))
    # And were it asked: scripts beside data are not run by this version of the library either.
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    with pytest.raises(Exception, match=r"(?i)script|data"):
        datasets.load_dataset("owner/name")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "~nobody-of-that-name/x"], ids=["long", "zero", "nobody"])
def test_impossible_paths_are_refused(path: str, tmp_path: Path) -> None:
    for use in (
        lambda: read_yaml(tmp_path / path),
        lambda: find_recipe(path),
        lambda: Plan.load(tmp_path / path),
        lambda: load_tensors(tmp_path / path),
        lambda: load(DataOptions(path=Path(path))),
    ):
        with pytest.raises(SecateursError):
            use()
    if "nobody" not in path:
        with pytest.raises(SecateursError):
            make_directory(tmp_path / path)
        with pytest.raises(SecateursError):
            RunDirectory.open(tmp_path / path, {}, resume=False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(SecateursError):
            Plan.load(path)
        with pytest.raises(SecateursError):
            load_tensors(path)
        with pytest.raises(SecateursError):
            load(DataOptions(path=path))


def test_messages_steer_no_terminal_and_fill_no_screen() -> None:
    error = SecateursError("a\x1b[2J", wanted="\ud800", got="x" * 10**6, cure="\u202eeruc")
    assert str(error).isprintable()
    assert len(str(error)) < 5000
    assert "\\x1b[2J" in str(error)
