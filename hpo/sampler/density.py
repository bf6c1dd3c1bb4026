"""The posterior density of the hyperparameters, its gradient and its curvature.

    w, a, v   see surrogate.py; theta (d + 2,) their logarithms (of v that of its distance to its bound)
    H         Hessian of minus the log posterior density of theta

Priors as in Optuna's GPSampler, w as in kernel.py and a ~ Gamma(2, 1), but v ~ Gamma(1.1, 10) where it has 30: that one
wants less noise than a training has. Less is worse where there is little (Hartmann6, log10 regret -1.13 with 3).

gpytorch holds the model; the likelihood is computed directly, which makes a fit several times as fast as going through
its classes, with the same numbers (tested).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gpytorch  # type: ignore[import-untyped]  # it ships no types
import torch
from torch import Tensor

from hpo.sampler.domain import Domain, Points
from hpo.sampler.evidence import evidence
from hpo.sampler.kernel import Embedding, MixedMatern52
from hpo.sampler.surrogate import Hyperparameters, known, tensor

MINIMUM_NOISE = 1e-6
NOISE_RATE = 10.0
# Where a posterior is stated: the mean is that with the narrow prior, which does not flatten what is best, the interval
# that with the broad one, which does not take noise for signal.
NARROW_NOISE_RATE, BROAD_NOISE_RATE = 30.0, 3.0
BOUNDS = {  # far beyond what the priors allow: they only keep a line search from overflowing
    "model.covar_module.base_kernel.log_w": (-12.0, 12.0),
    "model.covar_module.raw_outputscale": (-14.0, 8.0),
    "likelihood.noise_covar.raw_noise": (-14.0, 8.0),
}
DIFFERENCE = 1e-3  # of a logarithm, over which H is computed


@dataclass(frozen=True)
class Density:
    """Minus the log posterior density of theta over n, where ``parameters`` stand."""

    likelihood: Any  # gpytorch.mlls.ExactMarginalLogLikelihood
    parameters: dict[str, Tensor]
    known_noise: Tensor

    @classmethod
    def of(
        cls, domain: Domain, x: Points, z: Points, at: Hyperparameters, known_noise: Points | None, noise_rate: float
    ) -> Density:
        """``at``: where theta stands first."""
        embedding = Embedding.of(domain)
        kernel = MixedMatern52(embedding.owner, len(domain))
        process = Process(embedding(tensor(x)), tensor(z), kernel, at, noise_rate)
        likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(process.likelihood, process)
        likelihood.train()
        return cls(likelihood, dict(likelihood.named_parameters()), known(known_noise, len(z)))

    def __call__(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Value and gradient: BoTorch's closure for the same model."""
        process, kernel = self._process, self._process.covar_module.base_kernel
        variance, noise = process.covar_module.outputscale, process.likelihood.noise.squeeze()
        (x,), z = process.train_inputs, process.train_targets
        data = evidence(x, kernel.owner, z, kernel.log_w, variance, noise, self.known_noise)
        prior = sum(prior.log_prob(of(module)).sum() for _, module, prior, of, _ in process.named_priors())
        # has the gradient of the whole, through gpytorch's constraints
        slope = data.by_log_w @ kernel.log_w + data.by_variance * variance + data.by_noise * noise - prior
        gradients = torch.autograd.grad(slope, list(self.parameters.values()))
        return (data.value - prior) / len(z), tuple(gradient / len(z) for gradient in gradients)

    @property
    def hyperparameters(self) -> Hyperparameters:
        """That theta stands for."""
        covariance = self._process.covar_module
        w = covariance.base_kernel.log_w.detach().exp()
        return Hyperparameters(tuple(w.tolist()), covariance.outputscale.item(), self._process.likelihood.noise.item())

    def hessian(self) -> Tensor:
        """(d + 2, d + 2) H, from d + 2 gradients beside that where theta stands."""
        there = self._gradient()
        size = len(there)
        rows = [self._gradient_at(DIFFERENCE * step) for step in torch.eye(size, dtype=torch.float64)]
        by_row = (torch.stack(rows) - there) / DIFFERENCE
        return (by_row + by_row.mT) / 2

    def move(self, step: Tensor) -> None:
        """Theta by ``step`` (d + 2,), but not beyond its bounds."""
        parts = torch.split(step, [parameter.numel() for parameter in self.parameters.values()])
        with torch.no_grad():
            for (name, parameter), part in zip(self.parameters.items(), parts, strict=True):
                parameter.copy_((parameter + part.reshape(parameter.shape)).clamp(*BOUNDS[name]))

    @property
    def _process(self) -> Any:
        return self.likelihood.model

    def _gradient(self) -> Tensor:
        return len(self.known_noise) * torch.cat([gradient.flatten() for gradient in self()[1]])

    def _gradient_at(self, step: Tensor) -> Tensor:
        before = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.move(step)
        gradient = self._gradient()
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(before[name])
        return gradient


class Process(gpytorch.models.ExactGP):  # type: ignore[misc]  # untyped base
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
        kernel.log_w.data = tensor(start.w).log().clamp(*BOUNDS["model.covar_module.base_kernel.log_w"])
        self.covar_module.outputscale = start.variance
        # 1 %: at the bound itself the logarithm of the distance to it is infinite
        self.likelihood.noise = max(start.noise, 1.01 * MINIMUM_NOISE)

    def forward(self, inputs: Tensor) -> Any:
        """The prior at embedded points (n, e)."""
        return gpytorch.distributions.MultivariateNormal(self.mean_module(inputs), self.covar_module(inputs))

    def transform_inputs(self, X: Tensor) -> Tensor:  # noqa: N803  # BoTorch's closure passes it by this name
        """Unchanged."""
        return X


def _above(bound: float) -> Any:
    """A positive constraint fitted in the logarithm of the distance to its bound."""
    return gpytorch.constraints.GreaterThan(bound, transform=torch.exp, inv_transform=torch.log)
