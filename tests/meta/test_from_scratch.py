from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch_reference import Reference

from hpo.config import TrialConfig
from hpo.meta.from_scratch import best_steps, scratch_curves
from hpo.meta.network import Network
from hpo.meta.tasks import Split, task_family


@pytest.mark.parametrize("kind", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
def test_each_task_is_trained_as_torchs_adam_would(trial_config: Callable[..., TrialConfig], kind: str) -> None:
    config = trial_config(kind)
    family = task_family(config.tasks)
    network = Network.of(config.model, family)
    initial = network.init(torch.Generator().manual_seed(0), torch.float64)
    batch = family.sample(Split.TEST, 3, np.random.default_rng(0)).to(dtype=torch.float64)
    curves = scratch_curves(network, initial, batch, steps=(2, 5))
    assert curves.steps == (2, 5)
    for task in range(3):
        alone = Reference(network, initial)
        optimizer = torch.optim.Adam(alone.parameters(), lr=0.01)
        for step in range(1, 6):
            optimizer.zero_grad()
            alone.loss(batch.support, task).backward()
            optimizer.step()
            if step in curves.steps:
                expected = alone.loss(batch.query, task).item()
                assert curves.loss[curves.steps.index(step), task] == pytest.approx(expected, rel=1e-6)


def test_the_best_number_of_steps_is_that_of_the_lowest_mean(trial_config: Callable[..., TrialConfig]) -> None:
    config = trial_config()
    family = task_family(config.tasks)
    network = Network.of(config.model, family)
    initial = network.init(torch.Generator().manual_seed(0))
    curves = scratch_curves(network, initial, family.sample(Split.TEST, 30, np.random.default_rng(0)))
    assert curves.loss.shape == (3, 30)  # in two parts
    means = dict(zip(curves.steps, curves.loss.mean(axis=1), strict=True))
    assert means[best_steps(curves)] == min(means.values())
