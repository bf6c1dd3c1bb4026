"""Where do trials fail? A Gaussian process on +1 (the trial gave a value) and -1 (it failed).

    g(x)  the process, fitted as the surrogate is; prior mean 0: where nothing was tried, both are as likely
    P     = Phi(mean / sqrt(variance + noise))        that a trial at x gives a value

Least-squares classification (Rasmussen & Williams 2006, section 6.5). The expected improvement of a trial that may fail
is P EI (Gelbart, Snoek & Adams 2014, arXiv:1403.5607): a failure is no number, and pulls no neighbour's mean up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from botorch.utils.probability.utils import log_ndtr
from numpy.typing import NDArray
from torch import Tensor

from hpo.sampler.acquisition import Acquisition
from hpo.sampler.domain import Points
from hpo.sampler.sources import Data, Sources
from hpo.sampler.surrogate import Hyperparameters, Surrogate


@dataclass(frozen=True)
class Feasibility:
    """The process of the labels."""

    surrogate: Surrogate

    @classmethod
    def learn(
        cls, sources: Sources, x: Points, failed: NDArray[np.bool_], start: Hyperparameters | None = None
    ) -> Feasibility:
        """From n points (n, d) and whether each failed (n,), and those of ``sources``; ``start``: see fit.fit."""
        others = [_labels(source.tried, source.failed) for source in sources.each]
        return cls(sources.surrogate(_labels(x, failed), others, start))

    def log_probability(self, x: Tensor) -> Tensor:
        """(m, d) canonical points -> (m,) log P, differentiable."""
        mean, variance = self.surrogate.posterior(x)
        return log_ndtr(mean / (variance + self.surrogate.hyperparameters.noise).sqrt())


def _labels(x: Points, failed: NDArray[np.bool_]) -> Data:
    return Data(x, np.where(failed, -1.0, 1.0), np.zeros(len(x)))


class Probable(Protocol):
    """What happens at a point with a probability."""

    def log_probability(self, x: Tensor) -> Tensor:
        """(m, d) canonical points -> (m,), differentiable."""
        ...


@dataclass(frozen=True)
class FeasibleAcquisition:
    """The logarithm of P times what ``acquisition`` is the logarithm of."""

    acquisition: Acquisition
    feasibility: Probable

    def __call__(self, x: Tensor) -> Tensor:
        """(m, d) -> (m,)."""
        return self.acquisition(x) + self.feasibility.log_probability(x)
