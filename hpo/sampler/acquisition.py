"""Expected improvement in logarithms, conditioned on the trials that still run.

    f   the noiseless function, to be minimized;  z* the best outcome so far
    EI  E[max(z* - f(x), 0)]
    P   (p, d) pending points;  f_P ~ N(mu_P, C), C = L_P L_P^T the posterior at P
    S   samples of f_P

With trials running, improvement is what x adds to them:

    log E_{f_P}[ EI(x | f_P, min(z*, min f_P)) ]

This is the joint q-EI of {x} and P less the part that does not depend on x (tested against a Monte Carlo estimate of
it), but the expectation over f(x) is exact and only f_P is sampled: smooth in x, and the cost is that of one posterior.
LogEI: Ament et al. 2023 (arXiv:2310.20708), eq. 9.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from botorch.utils.probability.utils import log_phi, ndtr, phi
from botorch.utils.sampling import draw_sobol_normal_samples
from torch import Tensor

from hpo.sampler.joint import Conditioned, Joint
from hpo.sampler.surrogate import Surrogate

SAMPLES = 64
SMALLEST_VARIANCE = 1e-12  # the logarithm of no variance at all has no gradient


class Acquisition(Protocol):
    """What a search maximizes."""

    def __call__(self, x: Tensor) -> Tensor:
        """(m, d) canonical points -> (m,) values, differentiable."""
        ...


def log_ei(mean: Tensor, variance: Tensor, best: Tensor | float) -> Tensor:
    """log E[max(best - f, 0)] for f ~ N(mean, variance); shapes broadcast."""
    deviation = variance.clamp_min(SMALLEST_VARIANCE).sqrt()
    return _log_h((best - mean) / deviation) + deviation.log()


@dataclass(frozen=True)
class LogEI:
    """Analytic log expected improvement on ``best``."""

    surrogate: Surrogate
    best: float

    def __call__(self, x: Tensor) -> Tensor:
        """(m, d) -> (m,)."""
        return log_ei(*self.surrogate.posterior(x), self.best)


@dataclass(frozen=True)
class PendingLogEI:
    """Log expected improvement over samples of what the pending points will give."""

    function: Conditioned
    best: Tensor  # (S,)

    @classmethod
    def of(cls, surrogate: Surrogate, best: float, pending: Tensor, seed: int) -> PendingLogEI:
        """``pending``: (p, d) canonical points, p >= 1."""
        joint = Joint.of(surrogate, pending)
        values = joint.samples(draw_sobol_normal_samples(len(pending), SAMPLES, dtype=torch.float64, seed=seed))
        return cls(joint.given(values), values.amin(-1).clamp_max(best))

    def __call__(self, x: Tensor) -> Tensor:
        """(m, d) -> (m,)."""
        return torch.logsumexp(log_ei(*self.function.posterior(x), self.best), -1) - math.log(len(self.best))


def acquisition(surrogate: Surrogate, best: float, pending: Tensor, seed: int) -> Acquisition:
    """LogEI conditioned on ``pending`` (p, d), p >= 0. ``best`` is the lowest standardized outcome."""
    return PendingLogEI.of(surrogate, best, pending, seed) if len(pending) else LogEI(surrogate, best)


def _log_h(u: Tensor) -> Tensor:
    """log(phi(u) + u Phi(u)): three branches, each on arguments clamped to where it is accurate."""
    upper = u.clamp_min(-1.0)
    near = (phi(upper) + upper * ndtr(upper)).log()
    middle = u.clamp(-1e4, -1.0)
    # phi(u) (1 + u Phi(u) / phi(u)), with Phi / phi through the scaled complementary error function
    lower = log_phi(middle) + torch.log1p(math.sqrt(math.pi / 2) * middle * torch.special.erfcx(-middle / math.sqrt(2)))
    far = log_phi(u.clamp_max(-1e4)) - 2 * u.clamp_max(-1e4).neg().log()
    return torch.where(u > -1.0, near, torch.where(u > -1e4, lower, far))
