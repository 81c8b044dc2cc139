"""Pictures that a network makes, stage by stage: before, between and after its cuts."""

from typing import Any

import torch
from torch import Tensor

from secateurs._files import load_tensors
from secateurs.reporting._figure import new_figure
from secateurs.reporting._merit import merit_of
from secateurs.reporting._record import RunRecord

__all__ = ["image_rows", "image_rows_figure"]

_FILE = "pictures.safetensors"
_GAP = 2


def image_rows(run: RunRecord, kind: str) -> list[tuple[str, Tensor]]:
    """One labelled row of uint8 [N, C, H, W] for each finished stage that left pictures of that kind.

    Reconstructions begin with the images themselves.
    """
    merit, rows = merit_of(run), list[tuple[str, Tensor]]()
    for stage in run.state.get("stages", []):
        file = run.path / "stages" / stage["name"] / _FILE
        if stage.get("status") != "finished" or not file.exists():
            continue
        tensors, _ = load_tensors(file)
        if kind == "reconstructions" and not rows:
            rows.append(("images", tensors["images"]))
        results = stage["results"]
        judged = next((side for side in (results, results.get("after") or {}) if merit.test in side), None)
        told = "" if judged is None else f"\n{merit.of_stage(judged):.1f}"
        rows.append((stage["name"] + told, tensors[kind]))
    return rows


def image_rows_figure(run: RunRecord, kind: str, rows: list[tuple[str, Tensor]]) -> Any:
    """One row of images for each stage, labelled with its name and its bound in nats per image."""
    sheet = torch.cat([_strip(images) for _, images in rows])
    height = sheet.shape[0] / len(rows)
    figure = new_figure(1.3 + 7.5, 0.6 + 7.5 * sheet.shape[0] / sheet.shape[1])
    axes = figure.subplots()
    # Enlarged by whole pixels, so that nothing is invented between them.
    axes.imshow(sheet.squeeze(2).numpy(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_yticks([height * (number + 0.5) for number in range(len(rows))], [name for name, _ in rows], fontsize=8)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)
    figure.suptitle(f"{run.name}: {kind}", x=0.01, ha="left")
    return figure


def _strip(images: Tensor) -> Tensor:
    """The images side by side, white between: uint8 [H, W, C]."""
    framed = torch.nn.functional.pad(images, (0, _GAP, 0, _GAP), value=255)
    return torch.cat(list(framed), dim=2).permute(1, 2, 0)
