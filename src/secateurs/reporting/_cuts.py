"""What cuts during training did: dips, recoveries, and what is left after each."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from secateurs.reporting._merit import Merit, merit_of
from secateurs.reporting._record import RunRecord, member_runs
from secateurs.reporting._spread import counts, mean_spread

__all__ = ["Cut", "CutRun", "by_variant", "cut_runs", "cut_table"]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One cut of a run.

    Attributes:
        epoch: real epochs trained before it.
        before: what people read of test images before it, such as accuracy in %.
        after: the same right after it.
        recovered: the same at the end of the training that follows.
        waited: epochs until validation images said what they had said before the cut; None where they never did.
        kept: units left of each axis.
        params: parameters left.
        macs: multiply-adds left.
    """

    epoch: int
    before: float
    after: float
    recovered: float
    waited: int | None
    kept: Mapping[str, int]
    params: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class CutRun:
    """A finished run of a study of cuts.

    Attributes:
        variant: which of the study's.
        merit: what tells how good its networks are; the next three are what people read of it.
        train: of the training images, after every epoch.
        validation: of the validation images, after every epoch; empty without validation.
        test: of the test images, at the end.
        params: at the end.
        macs: at the end.
        cuts: all that removed something.
    """

    variant: str
    merit: Merit
    train: tuple[float, ...]
    validation: tuple[float, ...]
    test: float
    params: int
    macs: int
    cuts: tuple[Cut, ...]


def cut_runs(study: RunRecord) -> list[CutRun]:
    """All finished runs of the study that are judged alike; none where none was cut more than once in training."""
    runs = [
        _run(variant, run)
        for variant, run in member_runs(study)
        if run.state.get("status") == "finished" and run.epochs and _is_judged(run)
    ]
    runs = [run for run in runs if run.merit == runs[0].merit]
    return runs if any(len(run.cuts) > 1 for run in runs) else []


def by_variant(runs: Sequence[CutRun]) -> dict[str, list[CutRun]]:
    """The runs of each variant, in the study's order."""
    found: dict[str, list[CutRun]] = {}
    for run in runs:
        found.setdefault(run.variant, []).append(run)
    return found


def cut_table(runs: Sequence[CutRun]) -> str:
    """Markdown: the end of every variant, then every cut."""
    merit, groups = runs[0].merit, by_variant(runs)
    read = "".join(f" {source}{merit.suffix} |" for source in ("train", "validation", "test"))
    lines = [
        f"| variant | runs |{read} parameters | MACs | dip, {merit.unit} | worst dip | recovered after, epochs |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_end_row(variant, group) for variant, group in groups.items()]
    lines += ["", f"Test {merit.title} before each cut, right after it, and at the end of the training after it:", ""]
    cut = {variant: group for variant, group in groups.items() if all(run.cuts for run in group)}
    lines += ["| variant | cut after epoch | units left | parameters | before | right after | recovered |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [_cut_row(variant, group, number) for variant, group in cut.items() for number in range(_fewest(group))]
    return "\n".join(lines) + "\n"


def _end_row(variant: str, group: Sequence[CutRun]) -> str:
    cuts = [cut for run in group for cut in run.cuts]
    dips = [cut.before - cut.after for cut in cuts]
    waited = [cut.waited for cut in cuts if cut.waited is not None]
    never = len(cuts) - len(waited)
    cells = [
        variant,
        str(len(group)),
        mean_spread([run.train[-1] for run in group]),
        mean_spread([run.validation[-1] for run in group if run.validation]),
        mean_spread([run.test for run in group]),
        counts([run.params for run in group]),
        counts([run.macs for run in group]),
        f"{statistics.fmean(dips):.2f}" if dips else "-",
        f"{max(dips):.2f}" if dips else "-",
        _waited(waited, never) if cuts else "-",
    ]
    return f"| {' | '.join(cells)} |"


def _cut_row(variant: str, group: Sequence[CutRun], number: int) -> str:
    cuts = [run.cuts[number] for run in group]
    left = "-".join(map(str, cuts[0].kept.values())) if all(cut.kept == cuts[0].kept for cut in cuts) else "differ"
    cells = [
        variant,
        str(cuts[0].epoch),
        left,
        counts([cut.params for cut in cuts]),
        *(mean_spread([getattr(cut, name) for cut in cuts]) for name in ("before", "after", "recovered")),
    ]
    return f"| {' | '.join(cells)} |"


def _waited(waited: Sequence[int], never: int) -> str:
    """Such as `2.5 (3 of 21 never)`."""
    mean = f"{statistics.fmean(waited):.1f}" if waited else "-"
    return f"{mean} ({never} of {never + len(waited)} never)" if never else mean


def _fewest(group: Sequence[CutRun]) -> int:
    return min(len(run.cuts) for run in group)


def _is_judged(run: RunRecord) -> bool:
    merit = merit_of(run)
    return all(merit.of_epoch(row, "train") is not None for row in run.epochs)


def _run(variant: str, run: RunRecord) -> CutRun:
    merit, after = merit_of(run), run.state["summary"]["after"]
    train, validation = ([merit.of_epoch(row, source) for row in run.epochs] for source in ("train", "validation"))
    validated = [value for value in validation if value is not None]
    return CutRun(
        variant=variant,
        merit=merit,
        train=tuple(value for value in train if value is not None),
        validation=tuple(validated),
        test=merit.of_stage(after),
        params=after["params"],
        macs=after["macs"],
        cuts=tuple(_cuts(run, merit, validated)),
    )


def _cuts(run: RunRecord, merit: Merit, validation: Sequence[float]) -> list[Cut]:
    stages, epoch, found, sizes = run.state["stages"], 0, [], dict[str, int]()
    for number, stage in enumerate(stages):
        epoch += sum(row["stage"] == stage["name"] for row in run.epochs)
        results: Mapping[str, Any] = stage.get("results") or {}
        if "axes" not in results:
            continue
        # An axis of a single unit is none any more, and is not named by later cuts.
        sizes = dict.fromkeys(sizes, 1) | {axis["name"]: axis["kept"] for axis in results["axes"]}
        follows = next((later for later in stages[number + 1 :] if f"train_{merit.name}" in later["results"]), None)
        if results["before"]["params"] > results["after"]["params"] and follows is not None:
            trained = sum(row["stage"] == follows["name"] for row in run.epochs)
            cut_axes = {axis["name"] for axis in results["axes"] if axis["kept"] < axis["size"]}
            found.append(
                Cut(
                    epoch=epoch,
                    before=merit.of_stage(results["before"]),
                    after=merit.of_stage(results["after"]),
                    recovered=merit.of_stage(follows["results"]),
                    waited=_epochs_until(validation[epoch - 1 : epoch + trained]),
                    kept={name: size for name, size in sizes.items() if name in cut_axes or size == 1},
                    params=results["after"]["params"],
                    macs=results["after"]["macs"],
                )
            )
    return found


def _epochs_until(merits: Sequence[float]) -> int | None:
    """Epochs until the first of these was reached again."""
    return next((number for number, value in enumerate(merits[1:], start=1) if value >= merits[0]), None)
