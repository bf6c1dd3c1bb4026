"""The figures of the number of test-time steps, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.samplers import steps


def test_a_better_step_is_a_gain_without_optimism() -> None:
    losses = np.repeat([[2.0], [1.5], [1.6], [1.0]], 10, axis=1)[None] + np.zeros((3, 1, 1))
    found = steps.figures(losses, [1, 2, 3], times=3)
    assert found["share that is best after more steps"] == pytest.approx(2 / 3)
    assert found["median gain"] == pytest.approx(0.5)
    assert found["median optimism"] == 0.0


def test_the_best_of_equal_steps_is_optimistic_and_gains_nothing() -> None:
    losses = 1.0 + np.random.default_rng(0).normal(0.0, 0.1, (40, 7, 100))
    found = steps.figures(losses, [3] * 40, times=10)
    # of 6 means over 50 tasks the least is expected 1.27 standard errors low: 1.27 * 0.1 / sqrt(50)
    assert found["median optimism"] == pytest.approx(1.27 * 0.1 / np.sqrt(50), rel=0.25)
    assert abs(found["gain in the best fifth"]) < 0.01


def test_step_0_and_steps_that_diverge_are_not_chosen() -> None:
    losses = np.array([[0.1] * 4, [1.0] * 4, [np.nan] * 4, [0.9] * 4])
    assert steps.chosen(losses) == 3
    assert steps.chosen(losses[:1]) is None
