from __future__ import annotations

import math

import numpy as np
import torch

from hpo.config.search import CategoricalDimension, FloatDimension, IntDimension
from hpo.sampler.domain import Domain
from hpo.sampler.kernel import Embedding, MixedMatern52, matern52, squared_distance
from hpo.space import Space


def covariance(space: Space, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The kernel as its notation block writes it, pair by pair and dimension by dimension."""
    k = np.empty((len(x), len(y)))
    for i, a in enumerate(x):
        for m, b in enumerate(y):
            s = sum(w[j] * _distance(space, j, a[j], b[j]) for j in range(len(space)))
            k[i, m] = (1 + math.sqrt(5 * s) + 5 * s / 3) * math.exp(-math.sqrt(5 * s))
    return k


def _distance(space: Space, j: int, a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return float(math.isnan(a) != math.isnan(b))
    if space.categorical[j]:
        return float(a != b)
    if space.dimensions[j].when:
        return 4 * math.sin((a - b) / 2) ** 2
    return (a - b) ** 2


def _points(space: Space, count: int, seed: int) -> np.ndarray:
    domain = Domain.of(space)
    return domain.canonical(domain.snap(np.random.default_rng(seed).random((count, len(domain)))))


def _embedded(space: Space, x: np.ndarray, w: np.ndarray) -> torch.Tensor:
    embedding = Embedding.of(Domain.of(space))
    return embedding(torch.from_numpy(x)) * torch.from_numpy(w).sqrt()[embedding.owner]


def test_kernel_equals_its_formula(mixed: Space) -> None:
    x, y = _points(mixed, 40, 0), _points(mixed, 30, 1)
    assert np.isnan(x).any()
    assert not np.isnan(x).any(1).all()
    w = np.exp(np.random.default_rng(2).normal(size=len(mixed)))
    k = matern52(squared_distance(_embedded(mixed, x, w), _embedded(mixed, y, w)))
    np.testing.assert_allclose(k.numpy(), covariance(mixed, x, y, w), atol=1e-12)


def test_gpytorch_kernel_is_the_same(mixed: Space) -> None:
    x = torch.from_numpy(_points(mixed, 20, 3))
    embedding = Embedding.of(Domain.of(mixed))
    kernel = MixedMatern52(embedding.owner, len(mixed))
    w = np.exp(np.random.default_rng(4).normal(size=len(mixed)))
    kernel.log_w.data = torch.from_numpy(np.log(w))
    with torch.no_grad():
        k = kernel(embedding(x)).to_dense().numpy()
        np.testing.assert_allclose(kernel(embedding(x), diag=True).numpy(), np.ones(20))
    np.testing.assert_allclose(k, covariance(mixed, x.numpy(), x.numpy(), w), atol=1e-12)


def test_kernel_is_positive_definite_with_conditions_in_conditions() -> None:
    space = Space.from_search(
        {
            "kind": CategoricalDimension(type="categorical", choices=["a", "b", "c"]),
            "x": FloatDimension(type="float", low=0.0, high=1.0, when={"kind": ["a", "b"]}),
            "n": IntDimension(type="int", low=1, high=4, when={"kind": ["b"]}),
            "mode": CategoricalDimension(type="categorical", choices=["p", "q"], when={"n": [2, 3]}),
        }
    )
    for seed, scale in enumerate([1e-2, 1.0, 30.0]):
        x = _points(space, 60, seed)
        w = np.full(len(space), scale)
        embedded = _embedded(space, np.unique(x, axis=0), w)
        eigenvalues = torch.linalg.eigvalsh(matern52(squared_distance(embedded, embedded)))
        assert eigenvalues.min() > -1e-10


def test_derivative_is_exact_and_finite_at_distance_zero(mixed: Space) -> None:
    embedding = Embedding.of(Domain.of(mixed))
    x = torch.from_numpy(_points(mixed, 5, 5))
    point = x[:1].clone().requires_grad_()
    k = matern52(squared_distance(embedding(point), embedding(x)))
    (gradient,) = torch.autograd.grad(k.sum(), point)
    assert gradient.isfinite().all()
    free = torch.from_numpy(np.random.default_rng(0).random((3, 2)))
    assert torch.autograd.gradcheck(
        lambda a: matern52(squared_distance(a, free)), torch.rand(2, 2, dtype=torch.float64).requires_grad_()
    )
