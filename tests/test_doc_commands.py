"""Every command that a page shows is one that the program takes: its name, its options, its recipe and its keys."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from secateurs.cli._main import app
from secateurs.recipes import find_recipe, parse, parse_override, read_yaml, ready_recipes
from secateurs.sweeps import find_sweep, parse_sweep

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GROUP = typer.main.get_command(app)
VALUES = {"DIR": "data", "FOLDER": "data", "FILE": "file.safetensors", "FILE.safetensors": "file.safetensors"}


def commands(page: Path) -> list[list[str]]:
    """What follows `secateurs` in shell blocks, and in code within a line where more than a name stands there."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"^ {4,}(secateurs [a-z].*)$", text.replace("\\\n", " "), re.MULTILINE)
    lines += [code.replace("\n", " ") for code in re.findall(r"`(secateurs [a-z][^`]*)`", text)]
    found = [re.search(r"(?:^|/|-m )secateurs ((?!-)[^#>]+)", line) for line in lines]
    return [shlex.split(_one_of_braces(match[1])) for match in found if match]


def _one_of_braces(line: str) -> str:
    """What a shell makes of `{0,2}`, cut down to the first."""
    return re.sub(r"(?<=\S)\{(\w+),[^}]*\}", r"\1", line)


SHOWN = {f"{page.stem}: {' '.join(words)}"[:90]: words for page in PAGES for words in commands(page)}


@pytest.mark.parametrize("command", SHOWN.values(), ids=SHOWN)
def test_the_program_takes_the_command(command: list[str]) -> None:
    name, *arguments = command
    assert isinstance(GROUP, typer.core.TyperGroup)
    assert name in GROUP.commands
    given = [argument.strip("[]") for argument in arguments if argument != "..."]
    bare = not [argument for argument in given if not argument.startswith("-")]
    # With an option alone, the words say something about it, and not the whole command.
    GROUP.commands[name].make_context(name, [*given], resilient_parsing=bare)


def _set(words: list[str]) -> dict[str, object]:
    pairs = [word for word in words if re.match(r"^[\w.{},]+=", word)]
    plain = [re.sub(r"=([A-Z][\w.]*)$", lambda match: f"={VALUES.get(match[1], match[1])}", pair) for pair in pairs]
    return dict(parse_override(pair) for pair in plain)


READY = {recipe.name for recipe in ready_recipes()}
LARGE = "subset_aware_full"  # a thousand runs, each of which is checked
RUNS = {name: words for name, words in SHOWN.items() if words[0] == "run" and {*words[1:2]} & READY - {LARGE}}


@pytest.mark.parametrize("command", RUNS.values(), ids=RUNS)
def test_its_recipe_takes_the_keys(command: list[str]) -> None:
    content, wanted = read_yaml(find_recipe(command[1])), _set(command[2:])
    data = content.get("data") or {}
    if not {"data.name", "data.path"} & set(wanted) and not {"name", "path"} & set(data):
        wanted["data.name"] = "cifar10"
    assert parse(content, source=command[1], changes=wanted).stages


@pytest.mark.parametrize(
    "text", re.findall(r"```yaml\n(name:.*?)```", (ROOT / "docs/sweeps.md").read_text(), re.DOTALL)
)
def test_the_sweep_files_shown_are_sweeps(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alexnet-aquatic.yaml").write_text(find_recipe("quickstart").read_text())
    (tmp_path / "shown.yaml").write_text(text)
    made = parse_sweep(read_yaml(find_sweep(str(tmp_path / "shown.yaml"))), source="docs/sweeps.md", home=tmp_path)
    assert made.count == 18


@pytest.mark.slow
def test_the_sweep_in_python_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/sweeps.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)
    assert (tmp_path / "runs" / "two_budgets" / "sweep.json").is_file()
