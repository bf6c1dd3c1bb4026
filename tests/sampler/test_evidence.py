from __future__ import annotations

import gpytorch  # type: ignore[import-untyped]  # it ships no types
import numpy as np
import pytest
import torch
from botorch.optim.closures import get_loss_closure_with_grads

from hpo.sampler.density import Density, Process
from hpo.sampler.domain import Domain
from hpo.sampler.evidence import cholesky, evidence
from hpo.sampler.kernel import Embedding, MixedMatern52
from hpo.sampler.surrogate import Hyperparameters
from hpo.space import Space


def _data(space: Space, count: int) -> tuple[Embedding, torch.Tensor, torch.Tensor]:
    domain, rng = Domain.of(space), np.random.default_rng(count)
    x = domain.encode([space.decode(rng.random(len(space))) for _ in range(count)])
    embedding = Embedding.of(domain)
    return embedding, embedding(torch.from_numpy(x)), torch.from_numpy(rng.standard_normal(count))


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_the_loss_is_botorchs(mixed: Space, count: int) -> None:
    embedding, x, z = _data(mixed, count)
    rng = np.random.default_rng(count)
    start = Hyperparameters(tuple(rng.uniform(0.1, 10, len(mixed)).tolist()), 1.3, 0.05)
    process = Process(x, z, MixedMatern52(embedding.owner, len(mixed)), start, 30.0)
    likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(process.likelihood, process)
    likelihood.train()
    parameters = dict(likelihood.named_parameters())
    expected, gradients = get_loss_closure_with_grads(likelihood, parameters)()
    actual, ours = Density(likelihood, parameters, torch.zeros(len(z)))()
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)
    for one, other in zip(ours, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_value_and_derivatives(mixed: Space) -> None:
    """By NumPy, and by differences."""
    embedding, x, z = _data(mixed, 12)
    kernel = MixedMatern52(embedding.owner, len(mixed))
    known_noise = torch.linspace(0, 3, 12).double()
    at = [torch.linspace(-1, 2, len(mixed)).double(), torch.tensor(0.7).double(), torch.tensor(0.1).double()]

    def value(log_w: torch.Tensor, variance: torch.Tensor, noise: torch.Tensor) -> float:
        kernel.log_w.data = log_w
        covariance = variance * kernel.forward(x, x) + torch.diag(noise + known_noise)
        k, y = covariance.detach().numpy(), z.numpy()
        return 0.5 * float(y @ np.linalg.solve(k, y) + np.linalg.slogdet(2 * np.pi * k)[1])

    found = evidence(x, embedding.owner, z, *at, known_noise)
    assert float(found.value) == pytest.approx(value(*at), rel=1e-10)
    gradients = (found.by_log_w, found.by_variance, found.by_noise)
    for k, gradient in enumerate(gradients):
        for j in range(gradient.numel()):
            step = torch.zeros_like(at[k])
            step.view(-1)[j] = 1e-5
            moved = [[one + sign * step if i == k else one for i, one in enumerate(at)] for sign in (1, -1)]
            difference = (value(*moved[0]) - value(*moved[1])) / 2e-5
            assert float(gradient.view(-1)[j]) == pytest.approx(difference, rel=1e-5, abs=1e-6)


def test_what_rounding_took_from_the_diagonal_is_added() -> None:
    ones = torch.ones(3, 3, dtype=torch.float64) - 1e-10 * torch.eye(3, dtype=torch.float64)
    root = cholesky(ones)
    torch.testing.assert_close(root @ root.mT, ones, rtol=0, atol=1e-5)
    with pytest.raises(FloatingPointError, match="not finite"):
        cholesky(torch.full((3, 3), torch.nan, dtype=torch.float64))
