"""What gates decide, as pictures: rates and depths, how they were learned, and images of short and of long ways."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from secateurs._files import load_tensors
from secateurs.reporting._figure import BLUE, LIGHT, ORANGE, name_layers, new_figure, save_figure, tidy
from secateurs.reporting._record import RunRecord, lasting

__all__ = ["gates_figure", "last_gates", "learning_figure", "route_sheet", "routes_figure", "write_gates"]

_FILE = "routes.safetensors"
_GAP, _MIDDLE = 2, 10


def write_gates(run: RunRecord) -> list[Path]:
    """The pictures into DIR/plots; returns the files, none for a run without gates."""
    told, sheet, folder = last_gates(run), route_sheet(run), run.path / "plots"
    if told is None:
        return []
    written = [save_figure(gates_figure(run, told), folder / "gates.png")]
    if any(_learned(row) for row in run.epochs):
        written.append(save_figure(learning_figure(run), folder / "gates_learning.png"))
    return written if sheet is None else [*written, save_figure(routes_figure(run, told, sheet), folder / "routes.png")]


def last_gates(run: RunRecord) -> Mapping[str, Any] | None:
    """What the last stage that knows of gates has told; None where none does."""
    told = [stage["results"]["gates"] for stage in _finished(run)]
    return told[-1] if told else None


def gates_figure(run: RunRecord, told: Mapping[str, Any]) -> Any:
    """How often each block is run, how many blocks images pass, and how many those of each class."""
    figure = new_figure(11, 3.8)
    rates, depths, classes = figure.subplots(1, 3)
    rates.bar(range(len(told["rates"])), told["rates"], color=BLUE)
    rates.set_ylim(0, 1)
    rates.set_ylabel("fraction of test images")
    rates.set_title("images for which a block is run", fontsize=9, loc="left")
    name_layers(rates, told["blocks"])
    total = sum(told["depths"])
    depths.bar(range(len(told["depths"])), [count / total for count in told["depths"]], color=BLUE)
    depths.set_xlabel(f"blocks run, of {len(told['rates'])} with gates")
    depths.set_title("how many blocks images pass", fontsize=9, loc="left")
    known = {name: depth for name, depth in told["depth_by_class"].items() if depth is not None}
    # The ends of a hundred classes; all of ten.
    ordered = sorted(known.items(), key=lambda entry: entry[1])
    ordered = ordered if len(ordered) <= 20 else [*ordered[:10], *ordered[-10:]]
    classes.barh(range(len(ordered)), [depth for _, depth in ordered], color=ORANGE)
    classes.set_yticks(range(len(ordered)), [name for name, _ in ordered], fontsize=8)
    classes.set_title("mean blocks by class", fontsize=9, loc="left")
    for axes in (rates, depths, classes):
        tidy(axes)
    classes.grid(axis="x", color=LIGHT, linewidth=0.8)
    saved = f"{100 * told['saved_macs']:.1f} % of the multiply-adds saved, gates counted"
    figure.suptitle(f"{run.name}: {saved}", x=0.01, ha="left")
    return figure


def learning_figure(run: RunRecord) -> Any:
    """What was skipped and how many validation images were right, after every epoch; and one against the other."""
    figure = new_figure(9, 3.8)
    over, against = figure.subplots(1, 2)
    rows = list(enumerate((row for row in run.epochs if _learned(row)), start=1))
    for number, stage in enumerate(dict.fromkeys(row["stage"] for _, row in rows)):
        own = [(epoch, row) for epoch, row in rows if row["stage"] == stage]
        epochs = [epoch for epoch, _ in own]
        skipped = [100 * (1 - row["figures"]["computed"]) for _, row in own]
        right = [100 * row["validation_accuracy"] for _, row in own]
        colour = BLUE if number % 2 == 0 else ORANGE
        over.plot(epochs, skipped, color=colour, marker="o", markersize=3)
        against.plot(skipped, right, color=colour, marker="o", markersize=3, label=stage)
        against.annotate(
            str(epochs[-1]), (skipped[-1], right[-1]), fontsize=8, xytext=(4, 2), textcoords="offset points"
        )
    over.set_xlabel("epoch of training with gates")
    over.set_ylabel("cost of blocks with gates, skipped, %")
    most = max(1 - row["figures"]["computed"] for _, row in rows)
    over.set_ylim(-0.5, max(5, 110 * most))
    against.set_xlim(-0.5, max(5, 110 * most))
    over.xaxis.get_major_locator().set_params(integer=True)
    against.set_xlabel("skipped, %")
    against.set_ylabel("validation accuracy, %")
    against.legend(fontsize=8, frameon=False)
    for axes in (over, against):
        tidy(axes)
    figure.suptitle(f"{run.name}: what gates learn", x=0.01, ha="left")
    return figure


def route_sheet(run: RunRecord) -> dict[str, Tensor] | None:
    """The images that the last training of gates has left; None where there are none."""
    files = [run.path / "stages" / stage["name"] / _FILE for stage in _finished(run)]
    present = [file for file in files if file.exists()]
    return dict(load_tensors(present[-1])[0]) if present else None


def routes_figure(run: RunRecord, told: Mapping[str, Any], sheet: Mapping[str, Tensor]) -> Any:
    """A row for each class: images with the shortest ways on the left, with the longest on the right."""
    rows = min(len(sheet["classes"]), 20)
    pixels = torch.cat([_row(sheet, number) for number in range(rows)])
    width = 7.5
    figure = new_figure(width + 1.5, 0.8 + width * pixels.shape[0] / pixels.shape[1])
    axes = figure.subplots()
    axes.imshow(pixels.squeeze(2).numpy(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    names, height = list(told["depth_by_class"]), pixels.shape[0] / rows
    labels = [names[number] for number in sheet["classes"][:rows].tolist()]
    axes.set_yticks([height * (row + 0.5) for row in range(rows)], labels, fontsize=8)
    half = pixels.shape[1] / 2
    least, most = sheet["shortest_depths"].double().mean(), sheet["longest_depths"].double().mean()
    names = [f"shortest ways: {least:.1f} blocks", f"longest ways: {most:.1f} blocks"]
    axes.set_xticks([half / 2, 1.5 * half], names, fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.suptitle(f"{run.name}: which test images take the long way", x=0.01, ha="left")
    return figure


def _learned(row: Mapping[str, Any]) -> bool:
    return "computed" in row.get("figures", {}) and row["validation_accuracy"] is not None


def _finished(run: RunRecord) -> list[Mapping[str, Any]]:
    return [stage for stage in lasting(run) if "gates" in (stage.get("results") or {})]


def _row(sheet: Mapping[str, Tensor], number: int) -> Tensor:
    """uint8 [H, W, C]: short ways, a gap, long ways."""
    short, long = (_strip(sheet[f"{name}_images"][number]) for name in ("shortest", "longest"))
    gap = torch.full((short.shape[0], _MIDDLE, short.shape[2]), 255, dtype=torch.uint8)
    return torch.cat([short, gap, long], dim=1)


def _strip(images: Tensor) -> Tensor:
    framed = torch.nn.functional.pad(images, (0, _GAP, 0, _GAP), value=255)
    return torch.cat(list(framed), dim=2).permute(1, 2, 0)
