"""Meta-test results over seeds and tasks, and the difference between two configs.

Notation: L (seeds, tasks) the query loss, or the accuracy, of one config; S seeds, T tasks, the same for every seed.
    L̄[s, ·]  mean over tasks      L̄[·, t]  mean over seeds      Var  with ddof = 1

Both another seed and other tasks would give another mean, so its squared standard error has a part for each:

    SE²(mean) = Var_s(L̄[s, ·]) / S + Var_t(L̄[·, t]) / T

This is the crossed random-effects estimate without its correction for the residual, which both parts contain: on
average it is too large by Var(residual) / (S T), never too small (Owen, "The pigeonhole bootstrap", 2007). One seed
tells nothing of seeds: then only the second part is there.

Two configs A and B are tested on the same tasks, so hard tasks cancel. Seeds are not paired, because another config
makes something else of the same seed:

    SE²(A - B) = Var_s(A[s, ·]) / S_A + Var_s(B[s, ·]) / S_B + Var_t(Ā[·, t] - B̄[·, t]) / T
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hpo.records import Estimate

Values = NDArray[np.float64]


def over_tasks(values: Values) -> Estimate:
    """Mean and standard error of one seed's tasks (tasks,)."""
    return Estimate(mean=float(values.mean()), sem=math.sqrt(_variance_of_mean(values)))


def overall(values: Values) -> Estimate:
    """Mean and standard error over seeds and tasks (seeds, tasks)."""
    variance = _variance_of_mean(values.mean(axis=1)) + _variance_of_mean(values.mean(axis=0))
    return Estimate(mean=float(values.mean()), sem=math.sqrt(variance))


def difference(first: Values, second: Values) -> Estimate:
    """First minus second, both (seeds, tasks) on the same tasks; the numbers of seeds may differ."""
    by_task = first.mean(axis=0) - second.mean(axis=0)
    by_seed = _variance_of_mean(first.mean(axis=1)) + _variance_of_mean(second.mean(axis=1))
    return Estimate(mean=float(by_task.mean()), sem=math.sqrt(by_seed + _variance_of_mean(by_task)))


def _variance_of_mean(values: Values) -> float:
    """Var / n; 0 for a single value, which tells nothing of its variance."""
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else 0.0
