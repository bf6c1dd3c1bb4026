from __future__ import annotations

import numpy as np
import pytest
import torch
from optuna._gp import gp, prior

from hpo.sampler.domain import Domain, Points
from hpo.sampler.fit import fit
from hpo.sampler.kernel import Embedding, matern52, squared_distance
from hpo.sampler.surrogate import Hyperparameters, Surrogate
from hpo.space import Space


def _data(space: Space, count: int, seed: int = 0) -> tuple[Domain, np.ndarray, np.ndarray]:
    """Points, and a smooth standardized function of them with a little noise."""
    rng = np.random.default_rng(seed)
    domain = Domain.of(space)
    x = domain.canonical(domain.snap(rng.random((count, len(domain)))))
    u = np.nan_to_num(x, nan=0.5)
    y = np.sin(5 * u[:, 0]) + (u[:, 1] - 0.3) ** 2 + 0.5 * (u[:, 2] > 0.5) + 0.05 * rng.normal(size=count)
    return domain, x, (y - y.mean()) / y.std()


def test_posterior_equals_the_textbook_formula(mixed: Space) -> None:
    domain, x, z = _data(mixed, 25)
    new = _data(mixed, 10, seed=1)[1]
    hyperparameters = Hyperparameters((3.0, 0.5, 1.0, 2.0, 0.7, 0.4), 1.7, 0.05)
    embedding = Embedding.of(domain)
    scale = torch.tensor(hyperparameters.w, dtype=torch.float64).sqrt()[embedding.owner]
    train, test = (embedding(torch.from_numpy(points)) * scale for points in (x, new))

    def k(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
        return 1.7 * matern52(squared_distance(a, b)).numpy()

    inverse = np.linalg.inv(k(train, train) + 0.05 * np.eye(25))
    mean, variance = Surrogate.condition(domain, x, z, hyperparameters).posterior(torch.from_numpy(new))
    np.testing.assert_allclose(mean.numpy(), k(test, train) @ inverse @ z, atol=1e-9)
    expected = np.diag(k(test, test) - k(test, train) @ inverse @ k(train, test))
    np.testing.assert_allclose(variance.numpy(), expected, atol=1e-9)


def test_a_known_variance_counts_as_that_many_fewer_trials(plain: Space) -> None:
    """Two outcomes at one point are their mean with half the noise; one of unbounded variance is none."""
    domain = Domain.of(plain)
    x, z = domain.canonical(domain.snap(np.random.default_rng(3).random((6, 3)))), np.linspace(-1, 1, 6)
    hyperparameters = Hyperparameters((1.0, 4.0, 0.5), 1.2, 0.3)
    new = torch.from_numpy(x + 0.01)

    def posterior(x: Points, z: Points, known_noise: list[float]) -> torch.Tensor:
        return torch.stack(Surrogate.condition(domain, x, z, hyperparameters, np.array(known_noise)).posterior(new))

    twice = posterior(np.vstack([x, x[:1]]), np.append(z, z[0] + 1.0), [0.0] * 7)
    averaged = posterior(x, np.append(z[0] + 0.5, z[1:]), [0.3 / 2 - 0.3] + [0.0] * 5)
    torch.testing.assert_close(averaged, twice)
    torch.testing.assert_close(posterior(x, z, [1e12] + [0.0] * 5), posterior(x[1:], z[1:], [0.0] * 5))


def test_fit_finds_the_optimum_that_optuna_finds(plain: Space) -> None:
    """Same kernel, same priors, another implementation."""
    domain, x, z = _data(plain, 40)
    ours = fit(domain, x, z)
    theirs = gp.fit_kernel_params(
        X=x,
        Y=z,
        is_categorical=plain.categorical,
        log_prior=prior.default_log_prior,
        minimum_noise=prior.DEFAULT_MINIMUM_NOISE_VAR,
        deterministic_objective=False,
        gtol=1e-4,
    )
    np.testing.assert_allclose(ours.w, theirs.inverse_squared_lengthscales.numpy(), rtol=0.03)
    np.testing.assert_allclose(ours.variance, theirs.kernel_scale.item(), rtol=0.03)
    np.testing.assert_allclose(ours.noise, theirs.noise_var.item(), rtol=0.03)


def test_a_warm_start_ends_at_the_same_optimum(mixed: Space) -> None:
    domain, x, z = _data(mixed, 40)
    cold = fit(domain, x, z)
    warm = fit(domain, x, z, fit(domain, x[:30], z[:30]))
    np.testing.assert_allclose(np.log(warm.w), np.log(cold.w), atol=0.1)
    np.testing.assert_allclose(warm.noise, cold.noise, rtol=0.1)


def test_a_warm_start_of_another_space_is_ignored(plain: Space) -> None:
    domain, x, z = _data(plain, 12)
    assert fit(domain, x, z, Hyperparameters.default(17)) == fit(domain, x, z)


def test_an_irrelevant_dimension_gets_the_longest_lengthscale(plain: Space) -> None:
    domain, x, _ = _data(plain, 60)
    y = np.sin(6 * x[:, 0])
    w = fit(domain, x, (y - y.mean()) / y.std()).w
    assert w[0] > 10 * max(w[1:])


@pytest.mark.parametrize("count", [1, 2, 30])
def test_fit_survives_points_that_are_all_the_same(mixed: Space, count: int) -> None:
    domain = Domain.of(mixed)
    x = domain.canonical(domain.snap(np.full((1, len(domain)), 0.4)))
    z = np.linspace(-1, 1, count)
    hyperparameters = fit(domain, np.repeat(x, count, 0), z)
    assert np.isfinite([*hyperparameters.w, hyperparameters.variance, hyperparameters.noise]).all()
    mean, variance = Surrogate.condition(domain, np.repeat(x, count, 0), z, hyperparameters).posterior(
        torch.from_numpy(x)
    )
    assert mean.isfinite().all()
    assert (variance >= 0).all()
