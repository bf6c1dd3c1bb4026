"""A search space in Optuna's words."""

from __future__ import annotations

from decimal import Decimal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hpo.config.search import CategoricalDimension, FloatDimension, IntDimension
from hpo.space import SearchDimension, Space


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Name -> Optuna distribution, conditional dimensions included, in the order of the space."""
    return {dimension.name: _distribution(dimension) for dimension in space.dimensions}


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
