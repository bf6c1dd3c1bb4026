from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from hpo.sampler.acquisition import LogEI
from hpo.sampler.domain import Domain
from hpo.sampler.feasibility import Feasibility, FeasibleAcquisition
from hpo.sampler.fit import fit
from hpo.sampler.sources import Sources
from hpo.sampler.surrogate import Surrogate
from hpo.space import Space


def _points(space: Space, count: int, seed: int = 0) -> tuple[Domain, np.ndarray]:
    domain, rng = Domain.of(space), np.random.default_rng(seed)
    return domain, domain.encode([space.decode(rng.random(len(space))) for _ in range(count)])


def test_a_learned_edge(plain: Space) -> None:
    """Trials fail where a > 0.6, whatever the rest."""
    domain, x = _points(plain, 40)
    feasibility = Feasibility.learn(Sources(domain), x, x[:, 0] > 0.6)
    _, fresh = _points(plain, 200, seed=1)
    probability = feasibility.log_probability(torch.from_numpy(fresh)).exp().numpy()
    assert (probability[fresh[:, 0] < 0.45] > 0.8).all()
    assert (probability[fresh[:, 0] > 0.75] < 0.2).all()


@pytest.mark.parametrize(("seed", "count", "failures"), [(0, 1, 1), (1, 2, 1), (2, 12, 3), (3, 12, 11), (4, 8, 8)])
def test_probability_is_the_probit_of_the_regression_on_labels(
    mixed: Space, seed: int, count: int, failures: int
) -> None:
    domain, x = _points(mixed, count, seed)
    failed = np.arange(count) < failures
    feasibility = Feasibility.learn(Sources(domain), x, failed)
    surrogate, noise = feasibility.surrogate, feasibility.surrogate.hyperparameters.noise
    _, at = _points(mixed, 5, seed + 1)
    # in NumPy: m = k^T (K + v I)^-1 y
    train = (surrogate.embedding(torch.from_numpy(x)) * surrogate.scale).numpy()
    test = (surrogate.embedding(torch.from_numpy(at)) * surrogate.scale).numpy()

    def k(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        s = np.sqrt(5 * ((a[:, None] - b) ** 2).sum(-1))
        return surrogate.hyperparameters.variance * (1 + s + s**2 / 3) * np.exp(-s)

    inverse = np.linalg.inv(k(train, train) + noise * np.eye(count))
    mean = k(test, train) @ inverse @ np.where(failed, -1.0, 1.0)
    variance = surrogate.hyperparameters.variance - np.einsum("ij,jk,ik->i", k(test, train), inverse, k(test, train))
    expected = norm.logcdf(mean / np.sqrt(variance + noise))
    actual = feasibility.log_probability(torch.from_numpy(at)).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


def test_far_from_all_trials_nothing_is_known(plain: Space) -> None:
    domain, x = _points(plain, 12)
    x[:, 0] *= 0.1
    feasibility = Feasibility.learn(Sources(domain), x, x[:, 1] > 0.5)
    probability = feasibility.log_probability(torch.tensor([[1e6, 1e6, 0.5]], dtype=torch.float64)).exp()
    assert math.isclose(float(probability), 0.5, abs_tol=1e-6)


def test_improvement_times_probability_and_its_gradient(plain: Space) -> None:
    domain, x = _points(plain, 20)
    z = (x[:, 0] - x[:, 0].mean()) / x[:, 0].std()
    surrogate = Surrogate.condition(domain, x, z, fit(domain, x, z))
    improvement, feasibility = LogEI(surrogate, float(z.min())), Feasibility.learn(Sources(domain), x, x[:, 1] > 0.7)
    goal = FeasibleAcquisition(improvement, feasibility)
    _, at = _points(plain, 6, seed=2)
    at[:, 2] = x[0, 2]  # a category does not move
    points = torch.from_numpy(at).requires_grad_()
    torch.testing.assert_close(goal(points), improvement(points) + feasibility.log_probability(points))
    (gradient,) = torch.autograd.grad(goal(points).sum(), points)
    for j in (0, 1):
        step = torch.zeros(3, dtype=torch.float64)
        step[j] = 1e-6
        finite = (goal(points + step) - goal(points - step)) / 2e-6
        torch.testing.assert_close(gradient[:, j], finite.detach(), rtol=1e-4, atol=1e-4)


def test_failures_alone_and_successes_alone_are_learned(mixed: Space) -> None:
    domain, x = _points(mixed, 10)
    for failed, low, high in ((np.ones(10, bool), 0.0, 0.4), (np.zeros(10, bool), 0.6, 1.0)):
        probability = Feasibility.learn(Sources(domain), x, failed).log_probability(torch.from_numpy(x)).exp()
        assert ((low <= probability) & (probability <= high)).all()
