"""Several cuts, spread over a training that goes on between them."""

from collections.abc import Iterable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from secateurs import _distributed
from secateurs._errors import ConfigError, PlanError
from secateurs._nearest import nearest_hint
from secateurs.cost import cost
from secateurs.criteria import Criterion, Loss
from secateurs.graph import arguments_of, map_tensors, unwrapped
from secateurs.selection import Schedule, cut_ratios, still_to_remove
from secateurs.surgery import Result, prune

__all__ = ["IterativePruner"]

_COUNTED = ("macs", "params", "bytes")
_RULES = ("scope", "protect", "floor", "cap", "multiple_of", "per", "kinds")


@final
class IterativePruner:
    """Cuts a model in place, a little every so many steps, until a target is met.

    Parameters stay the same objects with smaller data, so that the optimizer and whatever else holds them (learning
    rate schedulers, gradient scalers) go on as they are; momentum and moments are cut along. Steps are whatever the
    caller counts: batches, optimizer steps, epochs.

    Args:
        args, kwargs: an example call of the network, given in any of the ways of `trace`; on any device.
        remove: fraction of the dense model's `macs`, `params` or `bytes` that is gone after the last cut; or
        shares: the same of the units of axes, by name or pattern. Axes of equal size lose
            equally many, rounded up at every cut. One of the two.
        cuts: over how many cuts.
        every: steps between two cuts.
        start: steps before the first one.
        schedule: how the target is approached; see `selection.cut_ratios`.
        criterion: an object, or a registered name with its default options.
        batches, loss: for criteria that look at data.
        rules: further arguments of `select`: scope, protect, floor, cap, multiple_of, per, kinds.
        repair: rebuild what was lost in closed form, where batches are given; see `repair`.
        verify: prove every cut.

    Raises:
        ConfigError: numbers or rules that make no sense.
        PlanError: a ratio or schedule that does.

    >>> pruner = IterativePruner(args=(x,), remove={"macs": 0.5}, cuts=4, every=100)
    >>> for inputs, targets in loader:
    ...     loss_of(model(inputs), targets).backward()
    ...     optimizer.step()
    ...     optimizer.zero_grad()
    ...     pruner.step(model, optimizer)
    """

    def __init__(
        self,
        args: tuple[Any, ...] | Mapping[str, Any] | Tensor = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        remove: Mapping[str, float] | None = None,
        shares: Mapping[str, float] | None = None,
        cuts: int = 5,
        every: int = 1,
        start: int | None = None,
        schedule: Schedule = "cubic",
        criterion: str | Criterion = "magnitude",
        batches: Iterable[Any] | None = None,
        loss: Loss | None = None,
        rules: Mapping[str, Any] | None = None,
        repair: bool = False,
        verify: bool = True,
    ) -> None:
        _check(remove, shares, rules or {})
        _check_steps(every, start)
        self._ratios = {key: cut_ratios(ratio, cuts, schedule) for key, ratio in (remove or {}).items()}
        self._shares = {key: cut_ratios(ratio, cuts, schedule) for key, ratio in (shares or {}).items()}
        self._args, self._kwargs = args, kwargs
        self._every, self._first = every, every if start is None else start
        how = {"criterion": criterion, "batches": batches, "loss": loss, "repair": repair, "verify": verify}
        self._how: dict[str, Any] = {**how, **(rules or {})}
        self._start: dict[str, int] | None = None
        self._cuts = cuts
        self.steps, self.cuts_done = 0, 0

    @property
    def finished(self) -> bool:
        """Whether the last cut has been made."""
        return self.cuts_done >= self._cuts

    @property
    def due(self) -> bool:
        """Whether the step at hand ends with a cut."""
        return not self.finished and self.steps >= self._first + self.cuts_done * self._every

    def step(self, model: nn.Module, optimizer: Optimizer | None = None) -> Result | None:
        """Count one step; where a cut is due, make it. None where nothing was cut.

        Call it when gradients have been used (after `optimizer.step()`), with the same model each time.

        Raises:
            PlanError: several ranks, or a cut that cannot be made; the model is unchanged.
            VerifyError: the cut model would be wrong; the model is unchanged.
        """
        self.steps += 1
        return self.cut(model, optimizer) if self.due else None

    @torch.inference_mode(False)
    def cut(self, model: nn.Module, optimizer: Optimizer | None = None) -> Result | None:
        """Make the next cut at once; None where there is nothing left to take.

        Raises:
            PlanError: as `step`.
            VerifyError: as `step`.
        """
        if _distributed.world() > 1:
            cure = "Train on one device, or let `secateurs run` train, which cuts all ranks alike."
            got = f"{_distributed.world()} ranks, whose gradients are exchanged in buckets of the old sizes"
            raise PlanError("IterativePruner", wanted="a single process", got=got, cure=cure)
        if self.finished:
            return None
        model = unwrapped(model)
        args, kwargs = self._example(model)
        asked = self._next_shares() if self._shares else self._next_budget(model, args, kwargs)
        found = None
        if asked:
            inner = _innermost(optimizer)
            found = prune(model, args, kwargs, **{**self._how, **asked}, optimizer=inner, inplace=True)
        self.cuts_done += 1
        return found

    def _next_budget(self, model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """What the next cut takes off the model as it is: exact fractions, which `select` takes as they are."""
        counted = cost(model, args, kwargs)
        now = {key: int(getattr(counted, key)) for key in self._ratios}
        self._start = self._start or now
        wanted = {key: ratios[self.cuts_done] for key, ratios in self._ratios.items()}
        remove = still_to_remove(wanted, self._start, now)
        return {"remove": remove} if remove else {}

    def _next_shares(self) -> dict[str, Any]:
        """The same of axes: a share of what is left of each."""
        gone = {key: ratios[self.cuts_done - 1] if self.cuts_done else 0 for key, ratios in self._shares.items()}
        scope = {key: 1 - (1 - ratios[self.cuts_done]) / (1 - gone[key]) for key, ratios in self._shares.items()}
        return {"scope": scope}

    def _example(self, model: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
        found = arguments_of(model, self._args, self._kwargs, where="IterativePruner")
        device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
        moved: tuple[tuple[Any, ...], dict[str, Any]] = map_tensors(lambda tensor: tensor.to(device), found)
        return moved


def _innermost(optimizer: Any) -> Optimizer | None:
    """The optimizer that holds the state, in the wrappers that training libraries put around it."""
    while isinstance(getattr(optimizer, "optimizer", None), Optimizer):
        optimizer = optimizer.optimizer
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        cure = "Pass what holds momentum and moments, or None."
        got = type(optimizer).__name__
        raise PlanError("IterativePruner optimizer", wanted="a torch.optim.Optimizer", got=got, cure=cure)
    return optimizer


def _check(remove: Mapping[str, float] | None, shares: Mapping[str, float] | None, rules: Mapping[str, Any]) -> None:
    where = "IterativePruner"
    if bool(remove) == bool(shares):
        got, cure = "both" if remove else "neither", "Write for example remove={'macs': 0.5}."
        raise ConfigError(where, wanted="a target in either remove or shares", got=got, cure=cure)
    for key in remove or {}:
        if key not in _COUNTED:
            cure = nearest_hint(key, _COUNTED, "Take some of these.")
            raise ConfigError(f"{where} remove", wanted=f"some of {', '.join(_COUNTED)}", got=repr(key), cure=cure)
    for key in rules:
        if key not in _RULES:
            cure = nearest_hint(key, _RULES, "These are arguments of secateurs.select.")
            raise ConfigError(f"{where} rules", wanted=f"some of {', '.join(_RULES)}", got=repr(key), cure=cure)
    if shares and "scope" in rules:
        cure = "Take one of them out."
        raise ConfigError(f"{where} rules", wanted="no scope beside shares, which are one", got="both", cure=cure)


def _check_steps(every: int, start: int | None) -> None:
    for name, value, least in (("every", every, 1), ("start", 1 if start is None else start, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            where, cure = f"IterativePruner {name}", "Say how many steps."
            raise ConfigError(where, wanted=f"an integer of at least {least}", got=repr(value), cure=cure)
