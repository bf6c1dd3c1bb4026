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

from hpo.sampler.surrogate import Surrogate

SAMPLES = 64
PENDING_NOISE = 1e-5
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

    surrogate: Surrogate
    pending: Tensor  # (p, e) embedded
    projected: Tensor  # (p, n) of the pending points, see Surrogate.project
    inverse_root: Tensor  # (p, p) L_P^-1
    samples: Tensor  # (S, p) standard normal
    best: Tensor  # (S,)

    @classmethod
    def of(cls, surrogate: Surrogate, best: float, pending: Tensor, seed: int) -> PendingLogEI:
        """``pending``: (p, d) canonical points, p >= 1."""
        embedded, projected = surrogate.project(pending)
        mean, _ = surrogate.moments(projected)
        covariance = surrogate.covariance(embedded, embedded) - projected @ projected.mT
        # two pending points may be one point: a little noise keeps the root finite
        identity = torch.eye(len(pending), dtype=torch.float64)
        root = torch.linalg.cholesky(covariance + PENDING_NOISE * identity)
        samples = draw_sobol_normal_samples(len(pending), SAMPLES, dtype=torch.float64, seed=seed)
        values = mean + samples @ root.mT  # (S, p)
        inverse_root = torch.linalg.solve_triangular(root, identity, upper=False)
        return cls(surrogate, embedded, projected, inverse_root, samples, values.amin(-1).clamp_max(best))

    def __call__(self, x: Tensor) -> Tensor:
        """(m, d) -> (m,)."""
        embedded, projected = self.surrogate.project(x)
        mean, variance = self.surrogate.moments(projected)
        cross = self.surrogate.covariance(embedded, self.pending) - projected @ self.projected.mT  # (m, p)
        shift = cross @ self.inverse_root.mT
        means = mean.unsqueeze(-1) + shift @ self.samples.mT  # (m, S)
        variance = (variance - shift.square().sum(-1)).unsqueeze(-1)
        return torch.logsumexp(log_ei(means, variance, self.best), -1) - math.log(len(self.samples))


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
