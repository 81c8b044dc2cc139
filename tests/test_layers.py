"""The rooms import downwards only, and importing the package stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import secateurs

PACKAGE = Path(secateurs.__file__).parent
ALLOWED = {
    "graph": set(),
    "cost": {"graph"},
    "statistics": {"graph"},
    "masks": {"graph"},
    "criteria": {"graph", "statistics", "masks"},
    "selection": {"graph", "cost", "statistics", "criteria"},
    "surgery": {"graph", "cost", "statistics", "criteria", "selection"},
    "sparsity": {"graph", "cost", "statistics", "criteria", "selection"},
    "dynamic": {"graph", "cost", "surgery"},
    "eigen": {"graph", "cost", "statistics", "criteria", "selection", "surgery"},
    "export": {"graph", "cost", "selection", "surgery", "dynamic"},
    "callbacks": {"graph", "cost", "criteria", "selection", "surgery"},
    "training": set(),
    "data": set(),
    "models": set(),
    "reporting": set(),
    "convert": {"data", "models", "recipes"},
    "sweeps": {"recipes"},
}
"""Room to the rooms it may import; recipes and the command line bind everything."""


def _imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *[f"{node.module}.{alias.name}" for alias in node.names]]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("secateurs.")}
    return {room for room in rooms if not room.startswith("_")}


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    files = sorted((PACKAGE / room).rglob("*.py"))
    upwards = {
        f"{path.relative_to(PACKAGE)} -> {other}"
        for path in files
        for other in _imported_rooms(path) - ALLOWED[room] - {room}
    }
    assert not upwards


def test_every_room_that_exists_is_in_the_table_or_binds_the_others() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms - set(ALLOWED) == {"recipes", "cli"}


def test_importing_the_package_loads_no_extra() -> None:
    extras = [
        "lightning_fabric",
        "datasets",
        "matplotlib",
        "sklearn",
        "PIL",
        "kornia",
        "plotly",
        "torchvision",
        "ray",
        "optuna",
        "onnx",
        "pytorch_lightning",
        "transformers",
        "torch.onnx._internal.exporter",
        "tensorboard",
        "mlflow",
        "wandb",
    ]
    code = f"import secateurs, sys; print([name for name in {extras!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_model_or_library_is_named_where_graphs_are_made_and_cut() -> None:
    """The core works on operators; a name of a model family in it would be a special case."""
    named = set()
    for room in ("graph", "cost", "selection", "surgery"):
        for path in (PACKAGE / room).rglob("*.py"):
            text = path.read_text().lower()
            named |= {(path.name, word) for word in ("torchvision", "timm", "transformers", "resnet") if word in text}
    assert not named
