"""The calibration set on its way along the dense and the cut model, side by side."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest

import torch
from torch import Tensor, nn

from secateurs._errors import PlanError
from secateurs.graph import Plan, tensors_of
from secateurs.statistics import Batch, SecondMoments, images_in, pieces_of
from secateurs.surgery._cut import copy_model
from secateurs.surgery._repair_channels import channel_rows, combined, takes_patches
from secateurs.surgery._repair_fit import fit
from secateurs.surgery._repair_lanes import Lane, Operator
from secateurs.surgery._repair_norms import Statistics, moved
from secateurs.surgery._repair_options import RepairOptions
from secateurs.surgery._repair_report import Repaired
from secateurs.surgery._repair_sites import Site, Sites
from secateurs.surgery._repair_steps import Step

__all__ = ["Course"]


class Course:
    """Carries all batches along both models, from step to step, and fits what is in between.

    Args:
        plan: what was cut.
        dense, cut: models whose tensors are used and, in the cut one, changed.
        calls: the batches.
        steps: all sites of a call.
    """

    def __init__(
        self,
        plan: Plan,
        models: tuple[nn.Module, nn.Module],
        calls: Sequence[Batch],
        steps: Sequence[Step],
        options: RepairOptions,
    ) -> None:
        self._plan, self._steps, self._options = plan, steps, options
        self._passing: dict[int, tuple[Statistics, Site]] = {}
        self._dense = [_Runner(models[0], call, self._see) for call in calls]
        self._cut = [_Runner(models[1], call) for call in calls]
        self._wanted: set[int] = set()
        self._images = sum(map(images_in, calls))
        self._stored, self._tensors = tensors_of(models[0]), tensors_of(models[1])

    def close(self) -> None:
        """End all calls."""
        for runner in (*self._dense, *self._cut):
            runner.close()

    def run(self, numbers: Sequence[int]) -> list[Repaired]:
        """Go through these steps, in order; what was fitted."""
        self._wanted = {number for number in numbers if self._steps[number].kind == "norm"}
        maps = [number for number in numbers if number not in self._wanted]
        following = dict(zip_longest(maps, maps[1:]))
        done = []
        for number in numbers:
            if number in self._wanted:
                self._move(number)
            else:
                done.append(self._fit(number, following[number]))
        return done

    def run_parallel(self, numbers: Sequence[int]) -> list[Repaired]:
        """Fit these maps on what the dense model reads, each batch running through it once."""
        found: dict[int, SecondMoments] = {number: SecondMoments() for number in numbers}
        sites = {number: self._cut[0].reach(self._steps[number]) for number in numbers}
        for runner in self._dense:
            for number in numbers:
                given = runner.reach(self._steps[number])
                self._add(found[number], given, sites[number], self._kept_inputs(given), runner.step())
            runner.close()
        return [self._written(self._steps[number], sites[number], found[number]) for number in numbers]

    # ------------------------------------------------------------------ maps

    def _fit(self, number: int, following: int | None) -> Repaired:
        step, moments = self._steps[number], SecondMoments()
        for dense, cut in zip(self._dense, self._cut, strict=True):
            given, site = dense.reach(step), cut.reach(step)
            self._add(moments, given, site, site.inputs, dense.step())
            del given
            if following is not None:
                dense.reach(self._steps[following])  # so that the outputs need not be held
        return self._written(step, self._cut[0].reach(step), moments)

    def _add(self, moments: SecondMoments, given: Site, site: Site, inputs: Tensor, outputs: Tensor) -> None:
        """Rows of one batch."""
        if not takes_patches(site, self._options.moments_bytes):
            moments.add(*channel_rows(inputs, given.inputs))
            return
        kept = self._plan_kept(given.path, given.makes, given.first, given.weight.shape[0])
        wanted = outputs.index_select(1 if site.window.kernel else -1, kept.to(outputs.device))
        rows = max(self._options.rows, 64 * site.weight[0].numel())
        for x, y in pieces_of(inputs, wanted, site.window, math.ceil(rows / self._images)):
            moments.add(x, y)

    def _written(self, step: Step, site: Site, moments: SecondMoments) -> Repaired:
        """Fit, and let the cut model have it."""
        bias = site.other if site.other is not None and site.other.dim() == 1 else None
        norm = None if step.norm is None or self._steps[step.norm].hinders else self._steps[step.norm]
        intercept = bias is not None or norm is not None
        patches = takes_patches(site, self._options.moments_bytes)
        if patches:
            shape = (site.window.groups, site.weight.shape[0] // site.window.groups, -1)
            before = None if bias is None else bias.reshape(shape[:2])
            found = fit(moments, site.weight.reshape(shape), before, ridge=self._options.ridge, intercept=intercept)
            weight, shift = found.weight.reshape(site.weight.shape), found.bias.reshape(-1)
        else:
            outputs, inputs = self._plan.kept(step.path)[:2]
            dense = self._stored[step.path].index_select(0, outputs.to(site.weight.device))
            weight, shift, found = combined(moments, dense, inputs.to(site.weight.device), self._options.ridge)
            shift = shift if bias is None else shift + bias.double()
        site.weight.copy_(weight.to(site.weight.dtype))
        if bias is not None:
            bias.copy_(shift.to(bias.dtype))
        elif norm is not None:
            self._tensors[norm.path].sub_(shift.to(self._tensors[norm.path].dtype))
        return Repaired(path=step.path, before=found.before, after=found.after, patches=patches)

    def _kept_inputs(self, given: Site) -> Tensor:
        """What the cut layer would read, were all layers before it as good as the dense ones."""
        dim, groups = (1 if given.window.kernel else -1), given.window.groups
        width = given.inputs.shape[dim] // groups
        here = self._plan_kept(given.path, 1 - given.makes, 0, width)
        outputs = self._plan_kept(given.path, given.makes, 0, given.weight.shape[0])
        own = (outputs // (given.weight.shape[0] // groups)).unique()
        places = (own[:, None] * width + here).reshape(-1)
        return given.inputs.index_select(dim, places.to(given.inputs.device))

    def _plan_kept(self, path: str, dim: int, first: int, count: int) -> Tensor:
        """Places that stay on a part of a dim, counted from where the part begins."""
        if self._plan.aliases.get(path, path) not in self._plan.shapes:
            return torch.arange(count)
        kept = self._plan.kept(path)[dim]
        return kept[(kept >= first) & (kept < first + count)] - first

    # ------------------------------------------------------------------ norms

    def _see(self, number: int, site: Site) -> None:
        """The dense model's norms are looked at as it passes them: nothing has to wait for what does not change."""
        if number in self._wanted:
            statistics, _ = self._passing.setdefault(number, (Statistics(), replace(site, inputs=site.weight)))
            statistics.add(site.inputs)

    def _move(self, number: int) -> None:
        step, cut = self._steps[number], Statistics()
        for before, after in zip(self._dense, self._cut, strict=True):
            before.passed(number)
            cut.add(after.reach(step).inputs)
        site = self._cut[0].reach(step)
        statistics, given = self._passing.pop(number)
        assert site.other is not None
        assert given.other is not None
        kept = self._plan_kept(step.path, 0, 0, len(given.weight)).to(site.weight.device)
        means, variances = statistics.result()
        mean, variance = moved(
            (given.weight[kept].double(), given.other[kept].double()), (means[kept], variances[kept]), cut.result()
        )
        site.weight.copy_(mean.to(site.weight.dtype))
        site.other.copy_(variance.to(site.other.dtype))


class _Runner:
    """One batch in one model, which has modules of its own: code may keep things in them between its layers."""

    def __init__(self, model: nn.Module, call: Batch, see: Callable[[int, Site], None] | None = None) -> None:
        self._see = see
        own = copy_model(model, _same)
        self._sites, self._lane = Sites(own), Lane(partial(call.outputs, own))
        self._count = -1
        self._site: Site | None = None

    def reach(self, step: Step) -> Site:
        """The site of a step, before its operator runs.

        Raises:
            PlanError: the call takes another way than that of the first batch did.
        """
        site = self._site if self._count == step.number else self._next(step.number)
        if site is None or site.path != step.path:
            got = "the end of the call" if site is None else site.path
            cure = "Its code depends on the data: repair=False leaves it as cut."
            raise PlanError("repair", wanted=f"{step.path} in every batch", got=got, cure=cure)
        return site

    def passed(self, number: int) -> None:
        """Go on until a site is left behind."""
        if self._count <= number:
            self._next(number + 1)

    def step(self) -> Tensor:
        """Run the operator of the site; what it returns."""
        self._site = None
        result: Tensor = self._lane.step()
        return result

    def close(self) -> None:
        """End the call."""
        self._site = None
        self._lane.close()

    def _next(self, number: int) -> Site | None:
        self._site = None
        self._lane.reach(partial(self._wanted, number))
        return self._site

    def _wanted(self, number: int, operator: Operator) -> bool:
        site = self._sites.at(operator)
        if site is None:
            return False
        self._count += 1
        if self._see is not None and site.kind == "norm":
            self._see(self._count, site)
        if self._count != number:
            return False
        self._site = site
        return True


def _same(tensor: Tensor) -> Tensor:
    return tensor
