from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from episodic_cases import lstm, set_up
from finite_differences import assert_gradient
from torch import Tensor

from hpo.config import TrialConfig
from hpo.meta.cells import Params
from hpo.meta.encoder import encode
from hpo.meta.learners.order import in_own_order
from hpo.meta.tasks import Episode, TaskBatch

Make = Callable[..., TrialConfig]
OPTIONS: dict[str, dict[str, Any]] = {"meta_rnn": {}, "mann": {"memory_slots": 6, "memory_width": 4, "read_heads": 2}}
FAMILIES = ["toy_tasks:Prevailing", "toy_tasks:Lines"]


@pytest.fixture(params=OPTIONS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def config(trial_config: Make, kind: str, family: str = FAMILIES[0], **options: Any) -> TrialConfig:
    made = trial_config(family, tasks__shots=4).to_dict()
    return TrialConfig.from_dict(made | {"learner": {"kind": kind, **OPTIONS[kind], **options}})


def with_targets(episode: Episode, targets: Tensor) -> Episode:
    return Episode(episode.inputs, targets, episode.lengths)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prediction_is_made_before_its_label_is_seen(trial_config: Make, kind: str, family: str) -> None:
    learner, meta, batch = set_up(config(trial_config, kind, family))
    before = learner.presented(meta, batch.support)
    for t in range(before.shape[1]):
        targets = batch.support.targets.clone()
        targets[:, t] = 1 - targets[:, t]
        changed = (learner.presented(meta, with_targets(batch.support, targets)) != before).any(dim=2)
        assert not changed[:, : t + 1].any()
        assert changed[:, t + 1 :].all()


def test_a_query_example_is_the_next_that_is_presented(trial_config: Make, kind: str) -> None:
    learner, meta, batch = set_up(config(trial_config, kind))
    support, query = in_own_order(batch.support), batch.query
    predictions = learner.condition(meta, batch.support)(query)
    for i in range(query.lengths.shape[1]):
        time = max(support.inputs.shape[2], query.inputs.shape[2])
        inputs = [F.pad(part, (0, time - part.shape[2])) for part in (support.inputs, query.inputs[:, i : i + 1])]
        parts = zip((support.targets, support.lengths), (query.targets, query.lengths), strict=True)
        labels = [torch.cat([own, other[:, i : i + 1]], dim=1) for own, other in parts]
        together = learner.presented(meta, Episode(torch.cat(inputs, dim=1), *labels))
        torch.testing.assert_close(together[:, -1], predictions[:, i], rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("support_loss", [True, False])
def test_the_gradient_is_that_of_every_prediction_that_counts(
    trial_config: Make, kind: str, family: str, support_loss: bool
) -> None:
    learner, meta, batch = set_up(config(trial_config, kind, family, support_loss=support_loss))

    def loss(params: Params) -> float:
        predictions, targets = learner.condition(params, batch.support)(batch.query), batch.query.targets
        if support_loss:
            support = in_own_order(batch.support)
            predictions = torch.cat([learner.presented(params, support), predictions], dim=1)
            targets = torch.cat([support.targets, targets], dim=1)
        return float(learner.network.loss(predictions, targets).mean())

    gradient, metrics = learner.meta_gradient(meta, batch)
    asked = learner.condition(meta, batch.support)(batch.query)
    torch.testing.assert_close(metrics.loss, learner.network.loss(asked, batch.query.targets))
    assert_gradient(gradient, loss, meta, meta, rel=1e-4, abs=1e-7)


def test_the_meta_rnn_is_an_lstm_over_examples_and_late_labels(trial_config: Make) -> None:
    learner, meta, batch = set_up(config(trial_config, "meta_rnn", reader_size=6))
    presented = learner.presented(meta, batch.support).numpy()
    weight, bias = meta["output.weight"].numpy(), meta["output.bias"].numpy()
    for task, embeddings in enumerate(encode(learner.network, meta, batch.support).numpy()):
        h, c, label = np.zeros(6), np.zeros(6), np.zeros(2)
        for t, embedding in enumerate(embeddings):
            normalized = (embedding - embedding.mean()) / np.sqrt(embedding.var() + 1e-5)
            h, c = lstm(meta, "reader", np.concatenate([normalized, label]), h, c)
            np.testing.assert_allclose(presented[task, t], weight @ h + bias, rtol=1e-10, atol=1e-12)
            label = np.eye(2)[batch.support.targets[task, t]]


def test_query_examples_do_not_know_of_each_other(trial_config: Make, kind: str) -> None:
    learner, meta, batch = set_up(config(trial_config, kind))
    query = batch.query
    together = learner.condition(meta, batch.support)(query)
    first = Episode(query.inputs[:, :1], query.targets[:, :1], query.lengths[:, :1])
    alone = TaskBatch(batch.support, first)
    torch.testing.assert_close(learner.condition(meta, alone.support)(alone.query), together[:, :1], rtol=0, atol=1e-12)
