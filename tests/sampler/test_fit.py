from __future__ import annotations

import math

import numpy as np
import torch

from hpo.sampler.density import NOISE_RATE, Density
from hpo.sampler.domain import Domain, Points
from hpo.sampler.fit import LEAST_CURVATURE, draw, fit
from hpo.sampler.surrogate import Hyperparameters
from hpo.space import Space


def _data(space: Space, count: int) -> tuple[Domain, Points, Points]:
    rng = np.random.default_rng(count)
    domain = Domain.of(space)
    x = domain.canonical(domain.snap(rng.random((count, len(domain)))))
    y = np.sin(5 * np.nan_to_num(x[:, 0])) + 0.3 * rng.standard_normal(count)
    return domain, x, (y - y.mean()) / y.std()


def _theta(found: Hyperparameters) -> Points:
    """In the order of Density.parameters."""
    return np.log([found.noise, found.variance, *found.w])


def test_the_curvature_is_that_of_the_density(mixed: Space) -> None:
    """By second differences of its value."""
    domain, x, z = _data(mixed, 30)
    density = Density.of(domain, x, z, fit(domain, x, z), np.linspace(0, 0.2, 30), NOISE_RATE)
    size, h = len(mixed) + 2, 1e-3

    def value(*steps: tuple[int, float]) -> float:
        step = torch.zeros(size, dtype=torch.float64)
        for j, by in steps:
            step[j] += by
        density.move(step)
        found = 30 * density()[0].item()
        density.move(-step)
        return found

    expected = np.array(
        [
            [sum(s * t * value((i, s * h), (j, t * h)) for s in (1, -1) for t in (1, -1)) for j in range(size)]
            for i in range(size)
        ]
    ) / (4 * h * h)
    np.testing.assert_allclose(density.hessian().numpy(), expected, rtol=0.02, atol=0.02)


def test_the_curvature_leaves_the_density_where_it_stands(plain: Space) -> None:
    domain, x, z = _data(plain, 20)
    density = Density.of(domain, x, z, fit(domain, x, z), None, NOISE_RATE)
    before = density.hyperparameters
    density.hessian()
    assert density.hyperparameters == before


def test_draws_scatter_as_the_curvature_says(plain: Space) -> None:
    domain, x, z = _data(plain, 30)
    fitted = fit(domain, x, z)
    rng = np.random.default_rng(0)
    drawn = np.array([_theta(draw(domain, x, z, fitted, rng)) for _ in range(600)])
    curvature = Density.of(domain, x, z, fitted, None, NOISE_RATE).hessian().numpy()
    values, directions = np.linalg.eigh(curvature)
    np.testing.assert_allclose(drawn.mean(0), _theta(fitted), atol=0.15)
    scatter = np.std((drawn - drawn.mean(0)) @ directions, 0)
    np.testing.assert_allclose(scatter, 1 / np.sqrt(values.clip(LEAST_CURVATURE)), rtol=0.1)


def test_a_draw_follows_from_its_seed(mixed: Space) -> None:
    domain, x, z = _data(mixed, 25)
    fitted = fit(domain, x, z)
    one, same, other = (draw(domain, x, z, fitted, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same != other


def test_what_nobody_knows_is_drawn_within_reason(mixed: Space) -> None:
    """One trial, and many that are one point, leave the hyperparameters to their priors."""
    domain, x, _ = _data(mixed, 30)
    for points, z in ((x[:1], np.zeros(1)), (np.repeat(x[:1], 30, 0), np.zeros(30))):
        fitted = fit(domain, points, z)
        rng = np.random.default_rng(0)
        drawn = np.array([_theta(draw(domain, points, z, fitted, rng)) for _ in range(50)])
        assert np.abs(drawn - _theta(fitted))[:, 1:].max() < 5 / math.sqrt(LEAST_CURVATURE)
