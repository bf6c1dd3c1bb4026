from __future__ import annotations

import numpy as np
import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.models.deterministic import DeterministicModel
from botorch.models.model import Model
from botorch.posteriors import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from scipy.stats import norm

from hpo.sampler.acquisition import LogEI, PendingLogEI, acquisition, log_ei
from hpo.sampler.domain import Domain
from hpo.sampler.surrogate import Hyperparameters, Surrogate
from hpo.space import Space


def _tensor(values: object) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


class _Normal(DeterministicModel):
    """A model whose input is its own mean and variance."""

    num_outputs = 1

    def forward(self, X: torch.Tensor) -> torch.Tensor:  # noqa: N803
        return X[..., :1]

    def posterior(self, X: torch.Tensor, *args: object, **kwargs: object) -> GPyTorchPosterior:  # noqa: N803
        return GPyTorchPosterior(MultivariateNormal(X[..., 0], torch.diag_embed(X[..., 1])))


def test_log_ei_equals_the_closed_form() -> None:
    mean = np.linspace(-3, 3, 31)
    deviation = np.geomspace(0.3, 2, 31)
    best = 0.4
    z = (best - mean) / deviation
    expected = np.log(deviation * (z * norm.cdf(z) + norm.pdf(z)))
    np.testing.assert_allclose(log_ei(_tensor(mean), _tensor(deviation**2), best).numpy(), expected, rtol=1e-9)


def test_log_ei_equals_botorch_far_into_the_tail() -> None:
    mean = torch.cat([torch.linspace(-5, 5, 50), torch.logspace(0.5, 5.5, 200)]).double()
    variance = torch.full_like(mean, 0.5)
    model: Model = _Normal()
    theirs = LogExpectedImprovement(model, best_f=0.0, maximize=False)(torch.stack([mean, variance], -1).unsqueeze(-2))
    np.testing.assert_allclose(log_ei(mean, variance, 0.0).numpy(), theirs.numpy(), rtol=1e-7)


def test_log_ei_has_a_finite_gradient_everywhere() -> None:
    mean = torch.tensor([-1e6, -3.0, 0.0, 1.0, 1e2, 1e6], dtype=torch.float64).requires_grad_()
    for variance in (0.0, 1e-12, 1.0, 1e6):
        value = log_ei(mean, _tensor(variance), 0.0)
        (gradient,) = torch.autograd.grad(value.sum(), mean)
        assert value.isfinite().all()
        assert gradient.isfinite().all()
        assert (gradient <= 0).all()


def _surrogate(space: Space) -> tuple[Domain, Surrogate, float]:
    rng = np.random.default_rng(0)
    domain = Domain.of(space)
    x = domain.canonical(domain.snap(rng.random((15, len(domain)))))
    z = np.sin(6 * x[:, 0]) + rng.normal(size=15) * 0.1
    z = (z - z.mean()) / z.std()
    hyperparameters = Hyperparameters((6.0, *(1.0,) * (len(domain) - 1)), 1.0, 0.01)
    return domain, Surrogate.condition(domain, x, z, hyperparameters), float(z.min())


def _points(domain: Domain, count: int, seed: int) -> torch.Tensor:
    return _tensor(domain.canonical(domain.snap(np.random.default_rng(seed).random((count, len(domain))))))


def test_pending_improvement_is_what_a_point_adds_to_the_joint_one(mixed: Space) -> None:
    """Monte Carlo over the joint posterior: E max(best - f(x), best - f_P, 0) - E max(best - f_P, 0)."""
    domain, surrogate, best = _surrogate(mixed)
    pending, x = _points(domain, 3, seed=1), _points(domain, 300, seed=2)
    ours = PendingLogEI.of(surrogate, best, pending, seed=0)(x).exp().numpy()
    promising = np.argsort(-ours)[:10]
    normal = np.random.default_rng(3).normal(size=(200_000, 4))
    gains = np.array([_gain(surrogate, best, pending, x[i], normal) for i in promising])
    assert gains.min() > 0.005
    np.testing.assert_allclose(ours[promising], gains, rtol=0.1)


def _gain(surrogate: Surrogate, best: float, pending: torch.Tensor, x: torch.Tensor, normal: np.ndarray) -> float:
    embedded, projected = surrogate.project(torch.cat([pending, x[None]]))
    mean = surrogate.moments(projected)[0].numpy()
    covariance = (surrogate.covariance(embedded, embedded) - projected @ projected.mT).numpy()
    f = mean + normal @ np.linalg.cholesky(covariance + 1e-9 * np.eye(4)).T
    return float(np.mean(np.maximum(best - f.min(1), 0) - np.maximum(best - f[:, :3].min(1), 0)))


def test_nothing_is_left_to_gain_at_a_pending_point(mixed: Space) -> None:
    domain, surrogate, best = _surrogate(mixed)
    pending = _points(domain, 2, seed=4)
    alone = LogEI(surrogate, best)(pending)
    given_them = acquisition(surrogate, best, torch.cat([pending, pending]), seed=0)(pending)
    assert (given_them < alone - 2).all()


def test_without_pending_points_it_is_analytic(plain: Space) -> None:
    _, surrogate, best = _surrogate(plain)
    assert isinstance(acquisition(surrogate, best, torch.empty(0, 3, dtype=torch.float64), seed=0), LogEI)


def test_gradients_are_exact(plain: Space) -> None:
    domain, surrogate, best = _surrogate(plain)
    x = _points(domain, 3, seed=5)
    for goal in (LogEI(surrogate, best), PendingLogEI.of(surrogate, best, _points(domain, 2, seed=6), seed=0)):

        def along(v: torch.Tensor, goal: LogEI | PendingLogEI = goal) -> torch.Tensor:
            return goal(torch.cat([v, x[:, 2:]], -1))

        assert torch.autograd.gradcheck(along, x[:, :2].clone().requires_grad_(), eps=1e-6, atol=1e-4)
