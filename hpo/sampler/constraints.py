"""Where do trials satisfy the study's constraints? A Gaussian process on the excess over each.

    c    (n,) excess of n trials that were measured: at most 0 where the constraint is satisfied
    P    = Phi((b - mean) / sqrt(variance + noise))        that a trial at x satisfies it; b is 0, standardized

The expected improvement of a trial that may violate constraints is that on the best trial that satisfies all of them,
times the product of P (Gelbart, Snoek & Adams 2014, arXiv:1403.5607); while no trial does, the product alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from botorch.utils.probability.utils import log_ndtr
from numpy.typing import NDArray
from torch import Tensor

from hpo.records import Observation
from hpo.sampler.domain import Domain, Points
from hpo.sampler.fit import fit
from hpo.sampler.outcomes import LARGEST
from hpo.sampler.surrogate import Hyperparameters, Surrogate

FARTHEST = 5.0  # excesses count as at most so many typical ones: a diverged loss is not to explain all others away

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Constraint:
    """The process of one excess, standardized; ``bound`` is 0 on that scale."""

    surrogate: Surrogate
    bound: float

    @classmethod
    def learn(cls, domain: Domain, x: Points, excess: Values, start: Hyperparameters | None = None) -> Constraint:
        """From n >= 1 points (n, d) and their excess (n,); ``start``: see fit.fit."""
        excess = _limited(excess)
        mean, scale = float(np.mean(excess)), float(np.std(excess))
        if scale <= 1e-12 * abs(mean):  # a spread that is only rounding is none
            scale = abs(mean) or 1.0
        z = (excess - mean) / scale
        return cls(Surrogate.condition(domain, x, z, fit(domain, x, z, start)), -mean / scale)

    def log_probability(self, x: Tensor) -> Tensor:
        """(m, d) canonical points -> (m,) log P, differentiable."""
        mean, variance = self.surrogate.posterior(x)
        return log_ndtr((self.bound - mean) / (variance + self.surrogate.hyperparameters.noise).sqrt())


@dataclass(frozen=True)
class Constraints:
    """All constraints of a study. ``violation`` (n,): the sum of what each trial is beyond them; infinite: unknown."""

    each: tuple[Constraint, ...]
    violation: Values

    @classmethod
    def learn(
        cls, domain: Domain, x: Points, observations: Sequence[Observation], start: Sequence[Hyperparameters] = ()
    ) -> Constraints:
        """From n trials with a value and their points (n, d); those that were not measured say nothing.

        ``start``: where each fit starts, see fit.fit.
        """
        count = max(len(observation.excess) for observation in observations)
        measured = np.array([len(observation.excess) == count for observation in observations], bool)
        excess = np.array([o.excess for o in observations if len(o.excess) == count], float)  # (m, count)
        excess = np.nan_to_num(excess, nan=LARGEST).clip(-LARGEST, LARGEST)
        warm = start if len(start) == count else [None] * count
        each = [Constraint.learn(domain, x[measured], excess[:, k], warm[k]) for k in range(count)]
        violation = np.full(len(x), np.inf)
        violation[measured] = excess.clip(0.0).sum(1)
        return cls(tuple(each), violation)

    @property
    def hyperparameters(self) -> tuple[Hyperparameters, ...]:
        """Where the next fits start."""
        return tuple(constraint.surrogate.hyperparameters for constraint in self.each)

    def log_probability(self, x: Tensor) -> Tensor:
        """(m, d) canonical points -> (m,) log of the product of P, differentiable."""
        return torch.stack([x.new_zeros(len(x)), *(constraint.log_probability(x) for constraint in self.each)]).sum(0)


def indifferent(x: Tensor) -> Tensor:
    """The acquisition while no trial satisfies the constraints: (m, d) -> (m,), any improvement is as good."""
    return x.new_zeros(len(x))


def _limited(excess: Values) -> Values:
    """The sign stays: who satisfies the constraint is measured, not modelled."""
    typical = FARTHEST * float(np.median(np.abs(excess)))
    return excess.clip(-typical, typical) if typical > 0.0 else excess
