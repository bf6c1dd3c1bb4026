"""A search space in Optuna's words."""

from __future__ import annotations

from decimal import Decimal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hpo.config.search import CategoricalDimension, FloatDimension, IntDimension
from hpo.space import Params, SearchDimension, Space


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Name -> Optuna distribution, conditional dimensions included, in the order of the space."""
    return {dimension.name: _distribution(dimension) for dimension in space.dimensions}


def suggested(trial: optuna.Trial, space: Space) -> Params:
    """Every active dimension's value, recorded with the trial; those that it has already are kept."""
    params: Params = {}
    for j, (name, distribution) in enumerate(distributions(space).items()):
        if space.is_active(j, params):
            params[name] = _suggested_value(trial, name, distribution)
    return params


def _suggested_value(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> bool | int | float | str:
    match distribution:
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_float(name, low, high, step=step, log=log)
        case IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case CategoricalDistribution(choices=choices):
            chosen: bool | int | float | str = trial.suggest_categorical(name, list(choices))  # type: ignore[assignment]
            return chosen
    raise TypeError(f"{name}: no distribution that hpo makes: {distribution}")


def _distribution(dimension: SearchDimension) -> BaseDistribution:
    match dimension.config:
        case CategoricalDimension(choices=choices):
            return CategoricalDistribution(choices)
        case FloatDimension(low=low, high=high, log=log, step=None):
            return FloatDistribution(low, high, log=log)
        case FloatDimension(low=low, step=step):
            return FloatDistribution(low, _last(dimension, low, step), step=step)
        case IntDimension(low=low, log=log, step=int_step):
            return IntDistribution(low, int(_last(dimension, low, int_step)), log=log, step=int_step)


def _last(dimension: SearchDimension, low: float, step: float | None) -> float:
    """The highest value: Optuna wants a range that its step divides, in decimal arithmetic."""
    values = dimension.values
    assert values is not None, "an int or stepped dimension has a list of values"
    return float(Decimal(str(low)) + (len(values) - 1) * Decimal(str(step)))
