from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import LinearSVC
from torch import Tensor

from hpo.meta.learners.crammer_singer import dual


def one_hot(classes: np.ndarray, ways: int) -> Tensor:
    """(tasks, K, n)."""
    return F.one_hot(torch.from_numpy(classes), ways).double().mT


def weights(examples: Tensor, labels: Tensor, cost: float) -> Tensor:
    """examples (tasks, n, H) -> (tasks, K, H)."""
    return dual(examples @ examples.mT, labels, cost) @ examples


def primal(weights: np.ndarray, examples: np.ndarray, classes: np.ndarray, cost: float) -> float:
    scores = examples @ weights.T
    own = scores[np.arange(len(classes)), classes]
    slacks = (scores - own[:, None] + 1 - np.eye(len(weights))[classes]).max(axis=1)
    return float(0.5 * (weights**2).sum() + cost * slacks.sum())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    ways=st.integers(3, 7),
    shots=st.integers(1, 5),
    size=st.sampled_from([2, 5, 40]),
    cost=st.floats(0.01, 5.0),
)
def test_equals_the_optimum_of_scikit_learn(seed: int, ways: int, shots: int, size: int, cost: float) -> None:
    rng = np.random.default_rng(seed)
    examples = rng.normal(size=(2, ways * shots, size))
    classes = np.repeat(np.arange(ways), shots)[None].repeat(2, axis=0)
    found = weights(torch.from_numpy(examples), one_hot(classes, ways), cost).numpy()
    peer = LinearSVC(multi_class="crammer_singer", fit_intercept=False, C=cost, tol=1e-9, max_iter=10**6)
    for own, x, y in zip(found, examples, classes, strict=True):
        expected = peer.fit(x, y).coef_
        np.testing.assert_allclose(own, expected, atol=1e-4)
        assert primal(own, x, y, cost) <= primal(expected, x, y, cost) * (1 + 1e-6)


def test_two_classes_equal_the_optimum_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    examples, classes = rng.normal(size=(10, 4)), np.repeat([0, 1], 5)
    found = weights(torch.from_numpy(examples[None]), one_hot(classes[None], 2), 0.7)[0].numpy()
    peer = LinearSVC(multi_class="crammer_singer", fit_intercept=False, C=0.7, tol=1e-10, max_iter=10**6)
    np.testing.assert_allclose([found[1] - found[0]], peer.fit(examples, classes).coef_, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([2, 3, 20]), cost=st.sampled_from([0.05, 0.5, 5.0]))
def test_the_gradient_equals_finite_differences(seed: int, size: int, cost: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    examples, direction, probe = (
        torch.randn(2, rows, size, dtype=torch.float64, generator=generator) for rows in (8, 8, 4)
    )
    labels = one_hot(np.repeat(np.arange(4), 2)[None].repeat(2, axis=0), 4)

    def along(t: float | Tensor) -> Tensor:
        return (weights(examples + t * direction, labels, cost) * probe).sum()

    width = 1e-6
    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(along(t), t)
    either_side = [float(along(width) - along(0.0)) / width, float(along(0.0) - along(-width)) / width]
    # between two faces, where an example becomes a support vector, the slope changes
    assert min(abs(float(slope) - side) for side in either_side) < 1e-3 * max(1.0, abs(float(slope)))


def test_an_example_given_twice_counts_twice() -> None:
    generator = torch.Generator().manual_seed(0)
    examples = torch.randn(1, 6, 4, dtype=torch.float64, generator=generator)
    labels = one_hot(np.array([[0, 0, 1, 1, 2, 2]]), 3)
    twice = torch.cat([examples, examples], dim=1).requires_grad_()
    found = weights(twice, torch.cat([labels, labels], dim=2), 0.3)
    torch.testing.assert_close(found.detach(), weights(examples, labels, 0.6), rtol=0, atol=1e-6)
    (gradient,) = torch.autograd.grad(found.pow(2).sum(), twice)
    assert gradient.isfinite().all()
    torch.testing.assert_close(gradient[:, :6], gradient[:, 6:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_degenerate_examples_raise_nothing(value: float) -> None:
    examples = torch.full((1, 4, 3), value, dtype=torch.float64)
    found = weights(examples, one_hot(np.array([[0, 1, 2, 0]]), 3), 1.0)
    assert found.shape == (1, 3, 3)
    assert bool(found.isfinite().all()) == (value == 0.0)
