"""Training curves over all stages, with the cuts marked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from secateurs.reporting._figure import BLUE, GREY, ORANGE, new_figure, tidy
from secateurs.reporting._record import RunRecord, lasting

__all__ = ["training_figure"]


def training_figure(run: RunRecord) -> Any:
    """Loss and accuracy by epoch, counted over all train stages; a dashed line where the model was cut."""
    # Where nothing is classified, the loss says it all.
    kinds = ("loss", "accuracy") if any(row["train_accuracy"] is not None for row in run.epochs) else ("loss",)
    figure = new_figure(9, 4)
    cuts = _cuts(run)
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        scale = 100 if kind == "accuracy" else 1
        for source, colour in (("train", BLUE), ("validation", ORANGE)):
            _curves(axes, run.epochs, f"{source}_{kind}", scale, colour)
        if kind == "loss":
            _steps(axes, run.epochs)
        _mark(axes, cuts, labelled=kind == "loss")
        _dress(axes, kind, len(run.epochs))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    figure.suptitle(f"{run.name}, seed {run.state.get('seed')}", x=0.01, ha="left")
    return figure


def _curves(axes: Any, epochs: Sequence[Mapping[str, Any]], key: str, scale: float, colour: str) -> None:
    """One curve for each stage, so that no line runs across a cut."""
    label: str | None = key.partition("_")[0]
    for stage in dict.fromkeys(row["stage"] for row in epochs):
        points = [
            (number, scale * row[key])
            for number, row in enumerate(epochs, start=1)
            if row["stage"] == stage and row[key] is not None
        ]
        if points:
            # A marker on every point where there are few: a stage of one epoch would be invisible.
            marker = "o" if len(epochs) <= 40 else None
            axes.plot(*zip(*points, strict=True), color=colour, label=label, linewidth=1.8, marker=marker, markersize=3)
            label = None


def _steps(axes: Any, epochs: Sequence[Mapping[str, Any]]) -> None:
    """Where the loss was recorded within epochs: each fills the place around its number."""
    for number, row in enumerate(epochs, start=1):
        losses = row.get("step_losses") or ()
        places = [number - 0.5 + (index + 0.5) / len(losses) for index in range(len(losses))]
        values = [float("nan") if loss is None else loss for loss in losses]
        if losses:
            axes.plot(places, values, color=BLUE, linewidth=0.7, alpha=0.5, zorder=1)


def _mark(axes: Any, cuts: Sequence[tuple[float, str]], *, labelled: bool) -> None:
    for place, label in cuts:
        axes.axvline(place, color=GREY, linestyle="--", linewidth=1)
        if labelled:
            axes.annotate(
                label,
                (place, 1),
                xycoords=("data", "axes fraction"),
                xytext=(3, -2),
                textcoords="offset points",
                va="top",
                rotation=90,  # many cuts stand close together
                fontsize=8,
                color=GREY,
            )


def _cuts(run: RunRecord) -> list[tuple[float, str]]:
    """(place between two epochs, label) of every finished cut."""
    lengths = Counter(row["stage"] for row in run.epochs)
    lasts = {stage["name"] for stage in lasting(run)}
    place, cuts = 0, []
    for stage in run.state.get("stages", []):
        place += lengths[stage["name"]]
        results = stage.get("results") or {}
        if "target_sparsity" in results:
            cuts.append((place + 0.5, f"level {results['level']}, {results['sparsity']:.0f} % removed"))
        elif stage.get("type") in ("prune", "eigen") and "removed" in results:
            asked, removed = results.get("asked", {}), results["removed"]
            parts = [f"{100 * removed.get(name, ratio):.0f} % of {name}" for name, ratio in asked.items()]
            undone = "" if stage["name"] in lasts else ", undone"
            cuts.append((place + 0.5, "cut " + ", ".join(parts) + undone))
    return cuts


def _dress(axes: Any, kind: str, epochs: int) -> None:
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss" if kind == "loss" else "accuracy, %")
    axes.set_xlim(0.5, epochs + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    tidy(axes)
