from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from finite_differences import assert_gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_reference import adapted_query_losses, first_order

from hpo.config import TrialConfig
from hpo.meta.cells import Params
from hpo.meta.learners import Learner, adapt, learner_of, unrolled
from hpo.meta.learners.chunks import chunking
from hpo.meta.tasks import Split, TaskBatch, task_family

Make = Callable[..., TrialConfig]
CELLS = [("rnn", "tanh"), ("rnn", "relu"), ("gru", "tanh"), ("lstm", "tanh")]


def set_up(config: TrialConfig, tasks: int = 3, seed: int = 0) -> tuple[Learner, Params, TaskBatch]:
    family = task_family(config.tasks)
    learner = learner_of(config, family)
    batch = family.sample(Split.TRAIN, tasks, np.random.default_rng(seed)).to(dtype=torch.float64)
    return learner, learner.init(torch.Generator().manual_seed(seed), torch.float64), batch


def query_loss(learner: Learner, meta: Params, batch: TaskBatch) -> float:
    predictions = adapt(learner, meta, batch.support, learner.inner_steps)(batch.query)
    return float(learner.network.loss(predictions, batch.query.targets).mean())


@pytest.mark.parametrize("kind", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("adapt_embedding", [True, False])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_second_order_equals_finite_differences_in_every_parameter(
    trial_config: Make, kind: str, steps: int, adapt_embedding: bool, cell: str, nonlinearity: str
) -> None:
    config = trial_config(
        kind,
        model__cell=cell,
        model__nonlinearity=nonlinearity,
        learner__inner_steps=steps,
        learner__adapt_embedding=adapt_embedding,
    )
    learner, meta, batch = set_up(config)
    gradient, metrics = learner.meta_gradient(meta, batch)
    assert float(metrics.loss.mean()) == pytest.approx(query_loss(learner, meta, batch), rel=1e-12)
    assert_gradient(gradient, lambda at: query_loss(learner, at, batch), meta, meta, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("kind", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
@pytest.mark.parametrize("adapt_embedding", [True, False])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_first_order_equals_sgd_on_torch_nn(
    trial_config: Make, kind: str, adapt_embedding: bool, cell: str, nonlinearity: str
) -> None:
    config = trial_config(
        kind,
        model__cell=cell,
        model__nonlinearity=nonlinearity,
        model__layers=2,
        learner__order="first",
        learner__adapt_embedding=adapt_embedding,
    )
    learner, meta, batch = set_up(config)
    gradient, _ = learner.meta_gradient(meta, batch)
    expected = first_order(config, learner.network, meta, batch)
    for name in meta:
        torch.testing.assert_close(gradient[name], expected[name], rtol=0, atol=1e-12)


def test_first_and_second_order_differ(trial_config: Make) -> None:
    (first, meta, batch), (second, _, _) = (set_up(trial_config(learner__order=order)) for order in ("first", "second"))
    a, b = first.meta_gradient(meta, batch)[0], second.meta_gradient(meta, batch)[0]
    assert all((a[name] - b[name]).norm() > 1e-3 * b[name].norm() for name in meta)


@pytest.mark.parametrize("adapt_embedding", [True, False])
def test_adaptation_equals_sgd_on_torch_nn(trial_config: Make, adapt_embedding: bool) -> None:
    config = trial_config(learner__adapt_embedding=adapt_embedding)
    learner, meta, batch = set_up(config)
    for steps, predict in zip(range(4), learner.adaptation(meta, batch.support), strict=False):
        predictions = predict(batch.query)
        assert not predictions.requires_grad
        losses = learner.network.loss(predictions, batch.query.targets)
        expected = adapted_query_losses(config, learner.network, meta, batch, steps)
        torch.testing.assert_close(losses, expected, rtol=0, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    tasks=st.integers(2, 5),
    at_once=st.integers(1, 5),
    order=st.sampled_from(["first", "second"]),
)
def test_tasks_do_not_interact_and_parts_do_not_matter(
    trial_config: Make, seed: int, tasks: int, at_once: int, order: str
) -> None:
    learner, meta, batch = set_up(trial_config(learner__order=order), tasks, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unrolled, "chunking", lambda *planned: replace(chunking(*planned), tasks=at_once))
        together, metrics = learner.meta_gradient(meta, batch)
    alone = [learner.meta_gradient(meta, task) for task in batch.chunk(tasks)]
    assert metrics.accuracy is not None
    torch.testing.assert_close(metrics.loss, torch.cat([own.loss for _, own in alone]), rtol=0, atol=1e-12)
    assert torch.equal(metrics.accuracy, torch.cat([own.accuracy for _, own in alone if own.accuracy is not None]))
    for name in meta:
        mean = torch.stack([gradient[name] for gradient, _ in alone]).mean(dim=0)
        torch.testing.assert_close(together[name], mean, rtol=0, atol=1e-12)


def test_the_meta_parameters_are_left_as_they_are(trial_config: Make) -> None:
    learner, meta, batch = set_up(trial_config())
    before = {name: tensor.clone() for name, tensor in meta.items()}
    learner.meta_gradient(meta, batch)
    adapt(learner, meta, batch.support, 3)
    assert all(torch.equal(meta[name], before[name]) and not meta[name].requires_grad for name in meta)
