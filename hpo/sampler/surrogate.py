"""The Gaussian process over a mixed space: MAP fit by L-BFGS, then a posterior on plain matrices.

    X   (n, d) canonical points; E (n, e) their embedding
    z   (n,) standardized outcomes, to be minimized; the prior mean is zero
    w   (d,) inverse squared lengthscales;  a  variance of the kernel;  v  variance of the noise, at least 1e-6
    r   (n,) known variance of each outcome, beside v
    K   a k(X, X) + v I + diag(r) = L L^T

A zero mean on clipped, standardized outcomes, because a learned constant mean stopped exploring when it was measured.
Priors as in Optuna's GPSampler, w as in kernel.py and a ~ Gamma(2, 1), but v ~ Gamma(1.1, 10) where it has 30: that one
wants less noise than a training has. Less is worse where there is little (Hartmann6, log10 regret -1.13 with 3).

gpytorch holds the model and BoTorch fits it; the likelihood and the posterior are computed directly, which makes a
suggestion several times as fast as going through their model classes, with the same numbers (tested).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import gpytorch  # type: ignore[import-untyped]  # it ships no types
import numpy as np
import torch
from botorch.optim.core import scipy_minimize
from torch import Tensor

from hpo.sampler.domain import Domain, Points
from hpo.sampler.evidence import cholesky, evidence
from hpo.sampler.kernel import Embedding, MixedMatern52, matern52, squared_distance

MINIMUM_NOISE = 1e-6
NOISE_RATE = 10.0
# Where a posterior is stated: the mean is that with the narrow prior, which does not flatten what is best, the interval
# that with the broad one, which does not take noise for signal.
NARROW_NOISE_RATE, BROAD_NOISE_RATE = 30.0, 3.0
GRADIENT_TOLERANCE = 1e-2  # of the log posterior; a tighter one moves no suggestion
# Far beyond what the priors allow: they only keep a line search from overflowing.
LOG_W_BOUNDS = (-12.0, 12.0)
LOG_VARIANCE_BOUNDS = (-14.0, 8.0)


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
        scale = _tensor(hyperparameters.w).sqrt()[embedding.owner]
        train = embedding(_tensor(x)) * scale
        covariance = hyperparameters.variance * matern52(squared_distance(train, train))
        root = cholesky(covariance + torch.diag(hyperparameters.noise + _known(known_noise, len(z))))
        identity = torch.eye(len(train), dtype=torch.float64)
        inverse_root = torch.linalg.solve_triangular(root, identity, upper=False)
        return cls(embedding, hyperparameters, scale, train, inverse_root, inverse_root @ _tensor(z))

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


class _Process(gpytorch.models.ExactGP):  # type: ignore[misc]  # untyped base
    """What gpytorch fits: zero mean, scaled mixed kernel, homoscedastic noise."""

    def __init__(
        self, inputs: Tensor, targets: Tensor, kernel: MixedMatern52, start: Hyperparameters, noise_rate: float
    ) -> None:
        prior = gpytorch.priors.GammaPrior
        super().__init__(
            inputs,
            targets,
            gpytorch.likelihoods.GaussianLikelihood(
                noise_prior=prior(1.1, noise_rate), noise_constraint=_above(MINIMUM_NOISE)
            ),
        )
        self.mean_module = gpytorch.means.ZeroMean()
        self.covar_module = gpytorch.kernels.ScaleKernel(
            kernel, outputscale_prior=prior(2.0, 1.0), outputscale_constraint=_above(0.0)
        )
        self.double()
        kernel.log_w.data = _tensor(start.w).log().clamp(*LOG_W_BOUNDS)
        self.covar_module.outputscale = start.variance
        # 1 %: at the bound itself the logarithm of the distance to it is infinite
        self.likelihood.noise = max(start.noise, 1.01 * MINIMUM_NOISE)

    def forward(self, inputs: Tensor) -> Any:
        return gpytorch.distributions.MultivariateNormal(self.mean_module(inputs), self.covar_module(inputs))

    def transform_inputs(self, X: Tensor) -> Tensor:  # noqa: N803  # BoTorch's closure passes it by this name
        return X


def fit(
    domain: Domain,
    x: Points,
    z: Points,
    start: Hyperparameters | None = None,
    known_noise: Points | None = None,
    noise_rate: float = NOISE_RATE,
) -> Hyperparameters:
    """Hyperparameters of the highest posterior density given n >= 1 points (n, d), outcomes (n,) and r (n,), or r = 0.

    ``noise_rate``: v ~ Gamma(1.1, noise_rate).
    ``start``: of an earlier fit, from where the next one is found in a few steps; ignored if of another dimension.
    """
    if start is None or len(start.w) != len(domain):
        start = Hyperparameters.default(len(domain))
    embedding = Embedding.of(domain)
    kernel = MixedMatern52(embedding.owner, len(domain))
    process = _Process(embedding(_tensor(x)), _tensor(z), kernel, start, noise_rate)
    likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(process.likelihood, process)
    likelihood.train()
    parameters = dict(likelihood.named_parameters())
    scipy_minimize(
        partial(_loss, likelihood, parameters, _known(known_noise, len(z))),
        parameters,
        bounds={name: LOG_W_BOUNDS if name.endswith("log_w") else LOG_VARIANCE_BOUNDS for name in parameters},
        # the loss is a mean over the n points
        options={"gtol": GRADIENT_TOLERANCE / len(x), "maxiter": 200},
    )
    return Hyperparameters(
        tuple(kernel.log_w.detach().exp().tolist()),
        process.covar_module.outputscale.item(),
        process.likelihood.noise.item(),
    )


def _loss(likelihood: Any, parameters: Mapping[str, Tensor], known_noise: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Minus the log posterior density over n, and its gradient: BoTorch's closure for the same model."""
    process, kernel = likelihood.model, likelihood.model.covar_module.base_kernel
    variance, noise = process.covar_module.outputscale, process.likelihood.noise.squeeze()
    (x,), z = process.train_inputs, process.train_targets
    data = evidence(x, kernel.owner, z, kernel.log_w, variance, noise, known_noise)
    prior = sum(prior.log_prob(of(module)).sum() for _, module, prior, of, _ in process.named_priors())
    # has the gradient of the whole, through gpytorch's constraints
    slope = data.by_log_w @ kernel.log_w + data.by_variance * variance + data.by_noise * noise - prior
    gradients = torch.autograd.grad(slope, list(parameters.values()))
    return (data.value - prior) / len(z), tuple(gradient / len(z) for gradient in gradients)


def _known(noise: Points | None, count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.float64) if noise is None else _tensor(noise)


def _above(bound: float) -> Any:
    """A positive constraint fitted in the logarithm of the distance to its bound."""
    return gpytorch.constraints.GreaterThan(bound, transform=torch.exp, inv_transform=torch.log)


def _tensor(values: Any) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64)
