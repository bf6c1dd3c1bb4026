from __future__ import annotations

import pytest
import torch
from by_autograd import Make, set_up
from torch import Tensor

from hpo.config import TrialConfig
from hpo.meta.cells import Params
from hpo.meta.learners import Learner
from hpo.meta.tasks import Episode, TaskBatch

ALPHA, EPSILON = 0.2, 0.3


def reptile(trial_config: Make, tasks: str = "toy_tasks:Prevailing", **options: object) -> TrialConfig:
    learner = {"kind": "reptile", "inner_steps": 3, "inner_lr": ALPHA, "serial_step": EPSILON, **options}
    return TrialConfig.from_dict(trial_config(tasks, model__cell="gru").to_dict() | {"learner": learner})


def loss_gradient(learner: Learner, theta: Params, task: Episode) -> Params:
    """Of one task's loss, by autograd."""
    leaves = {name: tensor.detach().unsqueeze(0).requires_grad_() for name, tensor in theta.items()}
    predictions = learner.network.forward(leaves, learner.network.pack(task))
    found = torch.autograd.grad(learner.network.loss(predictions, task.targets).sum(), list(leaves.values()))
    return {name: tensor[0] for name, tensor in zip(leaves, found, strict=True)}


def sgd(learner: Learner, theta: Params, minibatches: list[Episode]) -> Params:
    """U^k of the paper: as many steps as minibatches."""
    for minibatch in minibatches:
        gradient = loss_gradient(learner, theta, minibatch)
        theta = {name: tensor - ALPHA * gradient[name] for name, tensor in theta.items()}
    return theta


def along(theta: Params, phi: Params, step: float) -> Params:
    return {name: tensor + step * (phi[name] - tensor) for name, tensor in theta.items()}


def assert_same(actual: Params, expected: dict[str, Tensor]) -> None:
    for name, tensor in expected.items():
        torch.testing.assert_close(actual[name], tensor, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("tasks", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
def test_with_one_inner_step_it_is_the_mean_gradient_of_the_support_sets(trial_config: Make, tasks: str) -> None:
    learner, theta, batch = set_up(reptile(trial_config, tasks, inner_steps=1))
    each = [loss_gradient(learner, theta, task.support) for task in batch.chunk(batch.tasks)]
    expected = {name: torch.stack([own[name] for own in each]).mean(dim=0) for name in theta}
    assert_same(learner.meta_gradient(theta, batch)[0], expected)


def minibatches_of(task: TaskBatch) -> list[Episode]:
    return [task.support, task.query, task.support]


def test_batched_it_goes_to_the_mean_of_the_results(trial_config: Make) -> None:
    learner, theta, batch = set_up(reptile(trial_config))
    gradient, metrics = learner.meta_gradient(theta, batch)
    results = [sgd(learner, theta, minibatches_of(task)) for task in batch.chunk(batch.tasks)]
    mean = {name: torch.stack([phi[name] for phi in results]).mean(dim=0) for name in theta}
    assert_same({name: theta[name] - ALPHA * gradient[name] for name in theta}, mean)
    assert metrics.loss.shape == (batch.tasks,)


def test_serial_theta_moves_from_task_to_task(trial_config: Make) -> None:
    learner, theta, batch = set_up(reptile(trial_config, batch="serial"))
    gradient, _ = learner.meta_gradient(theta, batch)
    moved = theta
    for task in batch.chunk(batch.tasks):
        moved = along(moved, sgd(learner, moved, minibatches_of(task)), EPSILON)
    factor = batch.tasks * EPSILON * ALPHA
    assert_same({name: theta[name] - factor * gradient[name] for name in theta}, moved)


def test_of_one_task_serial_and_batched_are_one(trial_config: Make) -> None:
    (serial, theta, batch), (batched, _, _) = (
        set_up(reptile(trial_config, batch=batch), tasks=1) for batch in ("serial", "batched")
    )
    assert_same(serial.meta_gradient(theta, batch)[0], batched.meta_gradient(theta, batch)[0])
