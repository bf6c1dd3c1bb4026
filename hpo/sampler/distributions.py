"""A search space in Optuna's words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from hpo.config.search import CategoricalDimension, FloatDimension, IntDimension
from hpo.space import Params, SearchDimension, Space


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Name -> Optuna distribution, conditional dimensions included, in the order of the space."""
    return {dimension.name: _distribution(dimension) for dimension in space.dimensions}


def proposed(study: optuna.Study, trial: FrozenTrial, space: Space) -> Params:
    """Every active dimension's value for a RUNNING trial, by the study's sampler; those that it has already are kept.

    What ``optuna.Trial`` does, but for storing them: that reads the whole trial again and commits for each value.
    """
    sampler = study.sampler
    sampler.before_trial(study, trial)
    params = _fitting({**trial.system_attrs.get("fixed_params", {}), **trial.params}, space)
    together: Mapping[str, Any] | None = None
    found: Params = {}
    for j, (name, distribution) in enumerate(distributions(space).items()):
        if not space.is_active(j, found):
            continue
        if together is None and name not in params:
            searched = sampler.infer_relative_search_space(study, trial)
            together = sampler.sample_relative(study, trial, searched)
        if name in params:
            found[name] = params[name]
        elif distribution.single():  # not every sampler of Optuna's can draw one of one
            found[name] = space.dimensions[j].decode(0.5)
        elif together is not None and name in together:
            found[name] = together[name]
        else:
            found[name] = sampler.sample_independent(study, trial, name, distribution)
    return found


def _fitting(params: Mapping[str, Any], space: Space) -> Params:
    """Those that lie in the space: who enqueued a trial by hand may have given others."""
    return {
        dimension.name: params[dimension.name]
        for dimension in space.dimensions
        if dimension.name in params and _fits(dimension, params[dimension.name])
    }


def _fits(dimension: SearchDimension, value: Any) -> bool:
    try:
        dimension.encode(value)
    except (ValueError, TypeError):
        return False
    return True


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
