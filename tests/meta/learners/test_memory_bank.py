"""A learner that remembers tasks: whether it finds them again, and whether its meta-gradient knows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from finite_differences import assert_gradient

from hpo.config import TrialConfig
from hpo.meta.cells import Params
from hpo.meta.learners import adapt, learner_of
from hpo.meta.learners.memory_bank import MemoryBank
from hpo.meta.learners.task_bank import empty_bank, is_of_bank, memorize, nearest
from hpo.meta.tasks import Split, TaskBatch, task_family

Make = Callable[..., TrialConfig]
KINDS = ["toy_tasks:Prevailing", "toy_tasks:Lines"]


def set_up(
    trial_config: Make, kind: str, seed: int = 0, **options: object
) -> tuple[MemoryBank, Params, list[TaskBatch]]:
    own = {"kind": "memory_bank", "inner_steps": 2, "inner_lr": 0.3, "slots": 4, "descriptor_size": 3, **options}
    config = TrialConfig.from_dict(trial_config(kind, tasks__shots=4).to_dict() | {"learner": own})
    family = task_family(config.tasks)
    learner = learner_of(config, family)
    assert isinstance(learner, MemoryBank)
    rng = np.random.default_rng(seed)
    batches = [family.sample(Split.TRAIN, 3, rng).to(dtype=torch.float64) for _ in range(3)]
    return learner, learner.init(torch.Generator().manual_seed(seed), torch.float64), batches


def query_loss(learner: MemoryBank, meta: Params, batch: TaskBatch) -> float:
    predictions = adapt(learner, meta, batch.support, learner.inner_steps)(batch.query)
    return float(learner.network.loss(predictions, batch.query.targets).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_the_meta_gradient_through_what_is_remembered(trial_config: Make, kind: str) -> None:
    learner, meta, (first, second, batch) = set_up(trial_config, kind, nearness=0.8)
    learner.remember(meta, first.support)
    learner.remember(meta, second.support)
    meta |= {name: tensor + 0.1 for name, tensor in meta.items() if name in learner.network.names}
    assert query_loss(learner, meta, batch) != query_loss(learner, forgotten(learner, meta), batch)
    gradient, metrics = learner.meta_gradient(meta, batch)
    assert float(metrics.loss.mean()) == pytest.approx(query_loss(learner, meta, batch), rel=1e-12)
    learned = [name for name in meta if not is_of_bank(name)]
    assert_gradient(gradient, lambda at: query_loss(learner, at, batch), meta, learned, rel=1e-4, abs=1e-7)
    assert not any(gradient[name].any() for name in meta if is_of_bank(name))
    assert gradient["descriptor.weight"].any()
    assert gradient["gate.threshold"].any()


def forgotten(learner: MemoryBank, meta: Params) -> Params:
    return meta | {"bank.used": torch.zeros_like(meta["bank.used"])}


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_that_is_remembered_begins_where_it_ended(trial_config: Make, kind: str) -> None:
    """Where it is surely near enough; what stands for classes is left out."""
    learner, meta, (batch, *_) = set_up(trial_config, kind, nearness=-1.0)
    meta["gate.sharpness"] = torch.tensor(1e3, dtype=torch.float64)
    solved = next(phi for step, phi in enumerate(learner.descent(meta, batch.support)) if step == learner.inner_steps)
    meta["gate.threshold"] = torch.tensor(1.0, dtype=torch.float64)  # each task has a slot
    learner.remember(meta, batch.support)
    meta["gate.threshold"] = torch.tensor(0.9, dtype=torch.float64)
    again = learner.start(meta, batch.support)
    for name in learner.network.names:
        is_stored = kind == "toy_tasks:Lines" or not name.startswith("head.")
        expected = solved[name] if is_stored else meta[name].expand_as(again[name])
        assert torch.allclose(again[name], expected, atol=1e-9), name


def test_without_a_memory_it_is_maml(trial_config: Make) -> None:
    learner, meta, (batch, *_) = set_up(trial_config, "toy_tasks:Lines")
    raw = trial_config("toy_tasks:Lines").to_dict() | {"learner": {"kind": "maml", "inner_steps": 2, "inner_lr": 0.3}}
    maml = learner_of(TrialConfig.from_dict(raw), task_family(TrialConfig.from_dict(raw).tasks))
    theta = {name: meta[name] for name in learner.network.names}
    (gradient, _), (expected, _) = learner.meta_gradient(meta, batch), maml.meta_gradient(theta, batch)
    assert all(torch.allclose(gradient[name], expected[name], rtol=1e-12) for name in theta)


def test_descriptors_do_not_depend_on_the_order_of_examples(trial_config: Make) -> None:
    learner, meta, (batch, *_) = set_up(trial_config, "toy_tasks:Lines")
    support = batch.support
    order = torch.randperm(support.targets.shape[1], generator=torch.Generator().manual_seed(0))
    shuffled = replace(
        support, inputs=support.inputs[:, order], targets=support.targets[:, order], lengths=support.lengths[:, order]
    )
    found = learner.describe(meta, support)
    assert torch.allclose(found, learner.describe(meta, shuffled), atol=1e-12)
    assert torch.allclose(found.norm(dim=1), torch.ones(3, dtype=torch.float64))


def test_the_least_recently_used_is_forgotten() -> None:
    bank = empty_bank(2, 3, {"w": torch.zeros(1)})
    axes = torch.eye(3)

    def store(axis: int, value: float) -> None:
        memorize(bank, axes[axis : axis + 1], {"w": torch.tensor([[value]])}, near=0.5)

    def recall(axis: int) -> tuple[float, float]:
        found = nearest(bank, axes[axis : axis + 1])
        return float(found.similarity), float(bank["bank.w"][found.slot])

    assert recall(0)[0] == -1.0
    store(0, 1.0)
    store(1, 2.0)
    assert (recall(0), recall(1)) == ((1.0, 1.0), (1.0, 2.0))
    store(0, 3.0)  # used again: it is the newest, and has what is new
    store(2, 4.0)
    assert (recall(0), recall(2)) == ((1.0, 3.0), (1.0, 4.0))
    assert recall(1)[0] == 0.0
