"""Values proposed by Optuna, from the trials so far alone."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from secateurs._errors import ConfigError
from secateurs.sweeps._config import Sweep
from secateurs.sweeps._figures import FIGURES
from secateurs.sweeps._space import Choices, Dimension, Range
from secateurs.sweeps._trial import Trial

__all__ = ["import_optuna", "optuna_values"]


def import_optuna() -> Any:
    """The package, quiet.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        optuna = importlib.import_module("optuna")
    except ImportError as error:
        raise ConfigError(
            "search",
            wanted="the package optuna",
            got="none installed",
            cure="Install it: pip install 'secateurs[sweeps]'. Searches grid and random work without it.",
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def optuna_values(sweep: Sweep, trials: Sequence[Trial], seed: int) -> dict[str, Any]:
    """What a tree-structured Parzen estimator that has seen `trials` proposes.

    Sampler and study are made anew for each proposal: what a sampler remembers beside its trials would be lost in
    a kill. For the same reason no other sampler is offered; genetic ones keep their generations for themselves.
    """
    optuna = import_optuna()
    space = {key: _distribution(optuna, dimension) for key, dimension in sweep.space.items()}
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=sweep.startup),
        directions=[FIGURES[name].direction for name in sweep.objectives],
    )
    study.add_trials([_told(optuna, sweep, space, trial) for trial in trials])
    found = study.ask(space).params
    return {key: _value(dimension, found[key]) for key, dimension in sweep.space.items()}


def _told(optuna: Any, sweep: Sweep, space: Mapping[str, Any], trial: Trial) -> Any:
    params = {key: _param(sweep.space[key], value) for key, value in trial.values.items()}
    make, states = optuna.trial.create_trial, optuna.trial.TrialState
    if trial.status == "finished" and all(name in trial.figures for name in sweep.objectives):
        values = [trial.figures[name] for name in sweep.objectives]
        return make(state=states.COMPLETE, values=values, params=params, distributions=space)
    if trial.status == "stopped" and sweep.objectives == ("validation_accuracy",):
        # Where it was ended tells something too; of several objectives, Optuna knows no such trials.
        reached = {run.epoch: run.value for run in trial.runs if run.epoch is not None}
        return make(state=states.PRUNED, params=params, distributions=space, intermediate_values=reached)
    ended = trial.status in ("failed", "stopped", "finished")
    return make(state=states.FAIL if ended else states.RUNNING, params=params, distributions=space)


def _distribution(optuna: Any, dimension: Dimension) -> Any:
    """Lists by index: Optuna knows plain values only."""
    kinds = optuna.distributions
    if not isinstance(dimension, Range):
        count = len(dimension.choices if isinstance(dimension, Choices) else dimension)
        return kinds.CategoricalDistribution(tuple(range(count)))
    if dimension.count is not None:
        return kinds.CategoricalDistribution(tuple(range(len(dimension.values()))))
    if dimension.whole:
        step = int(dimension.step or 1)
        return kinds.IntDistribution(
            int(dimension.low),
            int(dimension.values()[-1]) if step > 1 else int(dimension.high),
            log=dimension.log,
            step=step,
        )
    if dimension.step is not None:
        return kinds.FloatDistribution(float(dimension.low), float(dimension.values()[-1]), step=float(dimension.step))
    return kinds.FloatDistribution(float(dimension.low), float(dimension.high), log=dimension.log)


def _listed(dimension: Dimension) -> tuple[Any, ...] | None:
    """The values that stand for indices."""
    if isinstance(dimension, Range):
        return dimension.values() if dimension.count is not None else None
    return tuple(dimension.choices) if isinstance(dimension, Choices) else dimension


def _value(dimension: Dimension, param: Any) -> Any:
    listed = _listed(dimension)
    if listed is not None:
        return listed[param]
    assert isinstance(dimension, Range)
    return dimension.nice(param)


def _param(dimension: Dimension, value: Any) -> Any:
    listed = _listed(dimension)
    return value if listed is None else listed.index(value)
