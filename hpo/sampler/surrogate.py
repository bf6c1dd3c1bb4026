"""The Gaussian process over a mixed space, as a posterior on plain matrices.

    X   (n, d) canonical points; E (n, e) their embedding
    z   (n,) standardized outcomes, to be minimized; the prior mean is zero
    w   (d,) inverse squared lengthscales;  a  variance of the kernel;  v  variance of the noise (see fit.py)
    r   (n,) known variance of each outcome, beside v
    K   a k(X, X) + v I + diag(r) = L L^T

A zero mean on clipped, standardized outcomes, because a learned constant mean stopped exploring when it was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpo.sampler.domain import Domain, Points
from hpo.sampler.evidence import cholesky
from hpo.sampler.kernel import Embedding, matern52, squared_distance


@dataclass(frozen=True)
class Hyperparameters:
    """Inverse squared lengthscales (one a dimension), kernel variance and noise variance on the standardized scale."""

    w: tuple[float, ...]
    variance: float
    noise: float

    @classmethod
    def default(cls, dimensions: int) -> Hyperparameters:
        """Where a first fit starts."""
        return cls((1.0,) * dimensions, 1.0, 0.1)


@dataclass(frozen=True)
class Surrogate:
    """A fitted Gaussian process, as what its posterior is made of."""

    embedding: Callable[[Tensor], Tensor]
    hyperparameters: Hyperparameters
    scale: Tensor  # (e,) sqrt(w) of each embedded coordinate
    train: Tensor  # (n, e) embedded and scaled
    inverse_root: Tensor  # (n, n) L^-1
    whitened: Tensor  # (n,) L^-1 z

    @classmethod
    def condition(
        cls, domain: Domain, x: Points, z: Points, hyperparameters: Hyperparameters, known_noise: Points | None = None
    ) -> Surrogate:
        """The posterior given n points, their standardized outcomes and the variances that these are known to have."""
        embedding = Embedding.of(domain)
        scale = tensor(hyperparameters.w).sqrt()[embedding.owner]
        train = embedding(tensor(x)) * scale
        covariance = hyperparameters.variance * matern52(squared_distance(train, train))
        root = cholesky(covariance + torch.diag(hyperparameters.noise + known(known_noise, len(z))))
        identity = torch.eye(len(train), dtype=torch.float64)
        inverse_root = torch.linalg.solve_triangular(root, identity, upper=False)
        return cls(embedding, hyperparameters, scale, train, inverse_root, inverse_root @ tensor(z))

    @property
    def lengthscales(self) -> Points:
        """(d,) distances over which the function changes."""
        return np.array(self.hyperparameters.w) ** -0.5

    def covariance(self, a: Tensor, b: Tensor) -> Tensor:
        """Prior covariance (m, n) of embedded, scaled points."""
        return self.hyperparameters.variance * matern52(squared_distance(a, b))

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Canonical points (m, d) -> embedded and scaled (m, e), and k(x, X) L^-T (m, n)."""
        embedded = self.embedding(x) * self.scale
        return embedded, self.covariance(embedded, self.train) @ self.inverse_root.mT

    def moments(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (m,) of the noiseless function from k(x, X) L^-T."""
        explained = projected.square().sum(-1)
        return projected @ self.whitened, (self.hyperparameters.variance - explained).clamp_min(0.0)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (m,) of the noiseless function at canonical points (m, d); differentiable in x."""
        return self.moments(self.project(x)[1])


def known(noise: Points | None, count: int) -> Tensor:
    """(n,) r as a tensor; None: r = 0."""
    return torch.zeros(count, dtype=torch.float64) if noise is None else tensor(noise)


def tensor(values: Any) -> Tensor:
    """In double precision."""
    return torch.as_tensor(values, dtype=torch.float64)
