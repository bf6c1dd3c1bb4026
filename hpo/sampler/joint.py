"""The surrogate's function at several points together, and elsewhere given what it is there.

f   the noiseless function
P   (p, d) points;  f_P ~ N(mu_P, C), C = L_P L_P^T the posterior at P
S   samples of f_P
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hpo.sampler.surrogate import Surrogate

NUGGET = 1e-5  # two of the points may be one point: a little noise keeps the root finite


@dataclass(frozen=True)
class Joint:
    """The posterior at P."""

    surrogate: Surrogate
    embedded: Tensor  # (p, e)
    projected: Tensor  # (p, n), see Surrogate.project
    mean: Tensor  # (p,)
    root: Tensor  # (p, p) L_P

    @classmethod
    def of(cls, surrogate: Surrogate, points: Tensor) -> Joint:
        """``points``: (p, d) canonical points, p >= 1."""
        embedded, projected = surrogate.project(points)
        mean, _ = surrogate.moments(projected)
        covariance = surrogate.covariance(embedded, embedded) - projected @ projected.mT
        return cls(surrogate, embedded, projected, mean, torch.linalg.cholesky(covariance + NUGGET * _identity(mean)))

    def samples(self, normal: Tensor) -> Tensor:
        """(S, p) of f_P, from as many standard normal ones."""
        return self.mean + normal @ self.root.mT

    def given(self, values: Tensor) -> Conditioned:
        """f elsewhere, given samples (S, p) of f_P."""
        inverse_root = torch.linalg.solve_triangular(self.root, _identity(self.mean), upper=False)
        return Conditioned(self, inverse_root, (values - self.mean) @ inverse_root.mT)


@dataclass(frozen=True)
class Conditioned:
    """f given each sample of f_P."""

    joint: Joint
    inverse_root: Tensor  # (p, p) L_P^-1
    whitened: Tensor  # (S, p) L_P^-1 (f_P - mu_P)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means (m, S) and the variance (m, 1) of them all at canonical points (m, d); differentiable in x."""
        surrogate = self.joint.surrogate
        embedded, projected = surrogate.project(x)
        mean, variance = surrogate.moments(projected)
        cross = surrogate.covariance(embedded, self.joint.embedded) - projected @ self.joint.projected.mT  # (m, p)
        shift = cross @ self.inverse_root.mT
        means = mean.unsqueeze(-1) + shift @ self.whitened.mT
        return means, (variance - shift.square().sum(-1)).unsqueeze(-1)


def _identity(mean: Tensor) -> Tensor:
    return torch.eye(len(mean), dtype=mean.dtype)
