"""From what trials ended with to what the surrogate is fitted to.

    y       (n,) outcomes to be minimized, on the study's scale
    z       (n,) clipped and standardized: mean 0, standard deviation 1
    r       (n,) known variance of z: of what a pruned trial is expected to end with
    s       (n,) the same and, of finished trials, what their standard errors leave uncertain of differences
    ceiling med + k (med - min): outcomes above it are told as the ceiling

Losses of diverging trainings are heavily skewed; a Gaussian process that has to explain them explains nothing else.
Clipping them was worth more than any other choice that was measured (k from 1.5 to 3 alike). A failure is no outcome:
feasibility.py learns where trials fail.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.records import Observation, Outcome

Values = NDArray[np.float64]

CLIP = 2.0  # k
# Of a standard error over validation tasks, what is left in the difference of two trials that share the tasks: of 300
# recorded trainings 0.008 of 0.015.
UNSHARED = 0.5
LARGEST = 1e100  # squares of larger outcomes would overflow
MOST_NOISE = 1e4  # r of an outcome that says nothing
REGION_FAILURES = (Outcome.DIVERGED, Outcome.OUT_OF_MEMORY)


@dataclass(frozen=True)
class Standardized:
    """``z = (clipped y - mean) / scale`` (n,), ``noise`` r (n,), ``stated_noise`` s (n,)."""

    z: Values
    noise: Values
    stated_noise: Values
    mean: float
    scale: float

    def restore(self, z: Values) -> Values:
        """Back to the study's scale."""
        return self.mean + self.scale * z


def is_informative(observation: Observation) -> bool:
    """Whether it says something about its point.

    A lost or timed-out trial or a bug says nothing about the hyperparameters; a diverged one or one that ran
    out of memory says that its region fails; a pruned trial without a value says nothing.
    """
    return observation.outcome in REGION_FAILURES or (
        observation.outcome in (Outcome.OK, Outcome.PRUNED) and observation.value is not None
    )


def is_measured(observation: Observation) -> bool:
    """Whether it has a finite value of its own."""
    return (
        observation.outcome in (Outcome.OK, Outcome.PRUNED)
        and observation.value is not None
        and math.isfinite(observation.value)
    )


def standardize(observations: Sequence[Observation], k: float = CLIP) -> Standardized:
    """Outcomes of n >= 1 measured observations, clipped and standardized.

    A pruned trial counts with the final value that is expected of it (see history) and how uncertain that is, but never
    as better than the best finished one: what nobody measured is no incumbent.
    """
    y = np.clip(np.array([observation.value for observation in observations], float), -LARGEST, LARGEST)
    pruned = np.array([observation.outcome is Outcome.PRUNED for observation in observations], bool)
    finished = y[~pruned]
    if len(finished):
        y = np.where(pruned, np.maximum(y, np.min(finished)), y)
    deviation = np.minimum([observation.sem or 0.0 for observation in observations], LARGEST)
    y = clip(y, k)
    mean, scale = float(np.mean(y)), float(np.std(y))
    if scale <= 1e-12 * max(abs(mean), 1e-300):  # a spread that is only rounding is none
        return Standardized(np.zeros_like(y), np.zeros_like(y), np.zeros_like(y), mean, 1.0)
    variance = np.minimum((deviation / scale) ** 2, MOST_NOISE)
    noise, stated = np.where(pruned, variance, 0.0), np.where(pruned, variance, UNSHARED**2 * variance)
    return Standardized((y - mean) / scale, noise, stated, mean, scale)


def clip(y: Values, k: float = CLIP) -> Values:
    """Outcomes above ``med + k (med - min)`` are set to it."""
    low, above = float(np.min(y)), y[y > np.min(y)]
    # where more than half are equal to the best, the median of the others says what is far
    median = float(np.median(y)) if np.median(y) > low or not len(above) else float(np.median(above))
    return np.minimum(y, median + k * (median - low))
