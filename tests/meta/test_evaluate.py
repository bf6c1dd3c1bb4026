from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
import torch

from hpo.config import TrialConfig
from hpo.errors import Diverged
from hpo.meta import evaluate
from hpo.meta.cells import Params
from hpo.meta.evaluate import TaskCurves, estimate, task_curves
from hpo.meta.learners import Learner, learner_of
from hpo.meta.tasks import Split, TaskBatch, task_family

Make = Callable[..., TrialConfig]


def set_up(config: TrialConfig, tasks: int = 7) -> tuple[Learner, Params, TaskBatch]:
    family = task_family(config.tasks)
    learner = learner_of(config, family)
    batch = family.sample(Split.VALIDATION, tasks, np.random.default_rng(0)).to(dtype=torch.float64)
    return learner, learner.init(torch.Generator().manual_seed(0), torch.float64), batch


@pytest.mark.parametrize("at_once", [2, 100])
def test_points_are_means_over_tasks_after_each_step(
    trial_config: Make, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(evaluate, "TASKS_AT_ONCE", at_once)
    learner, meta, batch = set_up(trial_config())
    curve = task_curves(learner, meta, batch, range(4)).curve(Split.VALIDATION)
    assert (curve.split, curve.tasks) == ("validation", 7)
    assert [point.inner_step for point in curve.points] == [0, 1, 2, 3]
    for point, predict in zip(curve.points, islice(learner.adaptation(meta, batch.support), 4), strict=True):
        metrics = learner.network.metrics(predict(batch.query), batch.query.targets)
        assert metrics.accuracy is not None
        assert point.accuracy is not None
        for found, values in ((point.loss, metrics.loss.numpy()), (point.accuracy, metrics.accuracy.numpy())):
            assert found.mean == pytest.approx(np.mean(values), rel=1e-12)
            assert found.sem == pytest.approx(np.std(values, ddof=1) / math.sqrt(7), rel=1e-9)


def test_step_0_is_the_network_that_was_not_adapted(trial_config: Make) -> None:
    learner, meta, batch = set_up(trial_config())
    shared = {name: tensor.expand(7, *tensor.shape) for name, tensor in meta.items()}
    predictions = learner.network.forward(shared, learner.network.pack(batch.query))
    expected = learner.network.loss(predictions, batch.query.targets).mean()
    curve = task_curves(learner, meta, batch, [0]).curve(Split.TEST)
    assert curve.at(0).loss.mean == pytest.approx(float(expected), rel=1e-12)


def test_single_steps_are_those_of_the_whole_curve(trial_config: Make) -> None:
    learner, meta, batch = set_up(trial_config())
    whole, some = task_curves(learner, meta, batch, range(4)), task_curves(learner, meta, batch, [3, 1])
    assert some.steps == (1, 3)
    assert np.array_equal(some.loss, whole.loss[[1, 3]])
    assert whole.accuracy is not None
    assert some.accuracy is not None
    assert np.array_equal(some.accuracy, whole.accuracy[[1, 3]])
    assert some.loss.shape == (2, 7)


def test_regression_has_no_accuracy(trial_config: Make) -> None:
    curve = task_curves(*set_up(trial_config("toy_tasks:Lines")), range(2)).curve(Split.VALIDATION)
    assert [point.accuracy for point in curve.points] == [None, None]


def test_steps_without_a_finite_loss_are_left_out() -> None:
    loss = np.array([[1.0, 2.0], [1.0, np.inf], [np.nan, 1.0], [3.0, 4.0]])
    curve = TaskCurves((0, 1, 2, 5), loss, None).curve(Split.VALIDATION)
    assert [point.inner_step for point in curve.points] == [0, 5]


def test_a_curve_without_any_finite_loss_has_diverged() -> None:
    with pytest.raises(Diverged, match=r"test tasks' query loss is not finite after \(2,\) inner steps"):
        TaskCurves((2,), np.array([[np.nan, 1.0]]), None).curve(Split.TEST)


def test_estimate() -> None:
    assert estimate(np.array([1.0, 2.0, 3.0, 6.0])).mean == 3.0
    assert estimate(np.array([1.0, 2.0, 3.0, 6.0])).sem == pytest.approx(math.sqrt(14 / 3) / 2)
