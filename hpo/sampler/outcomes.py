"""From what trials ended with to what the surrogate is fitted to.

    y       (n,) outcomes to be minimized, on the study's scale
    z       (n,) clipped and standardized: mean 0, standard deviation 1
    ceiling med + k (med - min): outcomes above it are told as the ceiling

Losses of diverging trainings are heavily skewed; a Gaussian process that has to explain them explains nothing else.
Clipping them was worth more than any other choice that was measured (k from 1.5 to 3 alike).
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
LARGEST = 1e100  # squares of larger outcomes would overflow
REGION_FAILURES = (Outcome.DIVERGED, Outcome.OUT_OF_MEMORY)


@dataclass(frozen=True)
class Standardized:
    """``z = (clipped y - mean) / scale`` (n,); a failure stands at the worst value."""

    z: Values
    mean: float
    scale: float

    def restore(self, z: Values) -> Values:
        """Back to the study's scale."""
        return self.mean + self.scale * z


def informative(observations: Sequence[Observation]) -> list[Observation]:
    """Those that say something about their point.

    A lost or timed-out trial or a bug says nothing about the hyperparameters; a diverged one or one that ran
    out of memory says that its region is bad; a pruned trial without a value says nothing.
    """
    return [
        observation
        for observation in observations
        if observation.outcome in REGION_FAILURES
        or (observation.outcome in (Outcome.OK, Outcome.PRUNED) and observation.value is not None)
    ]


def is_measured(observation: Observation) -> bool:
    """Whether it has a finite value of its own."""
    return (
        observation.outcome in (Outcome.OK, Outcome.PRUNED)
        and observation.value is not None
        and math.isfinite(observation.value)
    )


def standardize(observations: Sequence[Observation], k: float = CLIP) -> Standardized:
    """Outcomes of informative observations, clipped and standardized.

    - A pruned trial counts with the final value that is expected of it (see history), but never as better than
      the best finished one: what nobody measured is no incumbent.
    - A diverged or out-of-memory trial, and a value that is not finite, counts as the worst value after clipping.
    """
    y = np.clip([_value(observation) for observation in observations], -LARGEST, LARGEST)
    pruned = np.array([observation.outcome is Outcome.PRUNED for observation in observations], bool)
    finished = y[~pruned & ~np.isnan(y)]
    if len(finished):
        y = np.where(pruned, np.maximum(y, np.min(finished)), y)
    y = clip(y, k)
    mean, scale = float(np.mean(y)), float(np.std(y))
    if scale <= 1e-12 * max(abs(mean), 1e-300):  # a spread that is only rounding is none
        return Standardized(np.zeros_like(y), mean, 1.0)
    return Standardized((y - mean) / scale, mean, scale)


def clip(y: Values, k: float = CLIP) -> Values:
    """Outcomes above ``med + k (med - min)`` are set to it, NaN to the worst value that is left."""
    known = y[~np.isnan(y)]
    if not len(known):
        return np.zeros_like(y)
    low = float(np.min(known))
    above = known[known > low]
    # where more than half are equal to the best, the median of the others says what is far
    median = float(np.median(known)) if np.median(known) > low or not len(above) else float(np.median(above))
    clipped = np.minimum(y, median + k * (median - low))
    worst = float(np.nanmax(clipped))
    # nothing worse was measured: a failure still has to look worse
    return np.where(np.isnan(y), worst if worst > low else low + max(abs(low), 1.0), clipped)


def _value(observation: Observation) -> float:
    """NaN where it stands for a failure: infinities too, and minus infinity, which no loss has."""
    if not is_measured(observation) or observation.value is None:
        return math.nan
    return observation.value
