"""Which way to the derivatives is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from hpo.config import TrialConfig
from hpo.meta import accelerator
from hpo.meta.cells import CELLS
from hpo.meta.gradients import EpisodeLoss, Way, episode_loss, way
from hpo.meta.gradients.by_accelerator import AcceleratedLoss
from hpo.meta.gradients.by_autograd import AutogradLoss
from hpo.meta.gradients.by_recurrences import RecurrenceLoss
from hpo.meta.learners import Learner, learner_of
from hpo.meta.network import Network
from hpo.meta.tasks import Classes, Features, Split, TaskBatch, task_family
from tests.meta.gradients.oracle import CONFIGS, WAYS, compiled, distance

Make = Callable[..., TrialConfig]
CPU = torch.device("cpu")


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The library is looked for again, here and by whoever comes after."""
    library = accelerator.library
    library.cache_clear()
    yield monkeypatch
    library.cache_clear()


@pytest.fixture
def switched_off(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv("HPO_ACCELERATOR", "off")


@pytest.fixture
def switched_on(fresh: pytest.MonkeyPatch) -> None:
    """Skips where the library cannot be built."""
    fresh.delenv("HPO_ACCELERATOR", raising=False)
    compiled(WAYS[2])


def config_of(trial_config: Make, cell: str, kind: str = "toy_tasks:Prevailing") -> TrialConfig:
    name, nonlinearity = CONFIGS[cell]
    return trial_config(kind, model__cell=name, model__nonlinearity=nonlinearity, model__layers=2)


def network_of(trial_config: Make, cell: str) -> Network:
    return Network(config_of(trial_config, cell).model, Features(3), Classes(2))


def set_up(config: TrialConfig) -> tuple[Learner, TaskBatch]:
    family = task_family(config.tasks)
    batch = family.sample(Split.TRAIN, 3, np.random.default_rng(0)).to(dtype=torch.float64)
    return learner_of(config, family), batch


def loss_for(trial_config: Make, cell: str) -> EpisodeLoss:
    learner, batch = set_up(config_of(trial_config, cell))
    return episode_loss(learner.network, batch.support, way(learner.network, CPU))


@pytest.mark.usefixtures("switched_on")
@pytest.mark.parametrize("cell", CELLS)
def test_the_accelerator_is_taken_where_it_is_there(trial_config: Make, cell: str) -> None:
    assert way(network_of(trial_config, cell), CPU) is Way.ACCELERATED
    assert isinstance(loss_for(trial_config, cell), AcceleratedLoss)


@pytest.mark.usefixtures("switched_on")
@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_other_devices_get_the_recurrences(trial_config: Make, device: str) -> None:
    assert way(network_of(trial_config, "lstm"), torch.device(device)) is Way.RECURRENCES


@pytest.mark.usefixtures("switched_off")
@pytest.mark.parametrize("cell", CELLS)
def test_switched_off_the_recurrences_are_taken(trial_config: Make, cell: str) -> None:
    assert way(network_of(trial_config, cell), CPU) is Way.RECURRENCES
    assert isinstance(loss_for(trial_config, cell), RecurrenceLoss)


@pytest.mark.parametrize(
    ("value", "off"),
    [*((value, True) for value in ("off", "OFF", "0", "no", "false")), *((value, False) for value in ("", "on", "1"))],
)
def test_values_that_switch_off(fresh: pytest.MonkeyPatch, value: str, off: bool) -> None:
    fresh.setenv("HPO_ACCELERATOR", value)
    assert accelerator.switched_off() == off


@pytest.mark.usefixtures("switched_off")
def test_switched_off_nothing_is_built_and_nothing_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accelerator, "build", lambda: pytest.fail("built"))
    assert accelerator.library() is None
    assert caplog.records == []


@pytest.mark.parametrize("kind", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_without_recurrence_gets_autograd_and_the_same_meta_gradient(
    trial_config: Make, fresh: pytest.MonkeyPatch, cell: str, kind: str
) -> None:
    learner, batch = set_up(config_of(trial_config, cell, kind))
    meta = learner.init(torch.Generator().manual_seed(0), torch.float64)
    fresh.setenv("HPO_ACCELERATOR", "off")
    by_hand, metrics_by_hand = learner.meta_gradient(meta, batch)
    fresh.setitem(CELLS, cell, replace(CELLS[cell], recurrence=None))
    fresh.setattr(accelerator, "library", lambda: pytest.fail("the accelerator knows no such cell"))
    assert way(learner.network, CPU) is Way.AUTOGRAD
    assert isinstance(episode_loss(learner.network, batch.support, Way.AUTOGRAD), AutogradLoss)
    by_autograd, metrics = learner.meta_gradient(meta, batch)
    assert distance(by_hand, by_autograd) < 1e-12
    torch.testing.assert_close(metrics_by_hand.loss, metrics.loss, rtol=1e-12, atol=0)


@pytest.mark.usefixtures("switched_on")
@pytest.mark.parametrize("kind", ["toy_tasks:Prevailing", "toy_tasks:Lines"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_accelerator_gives_the_same_meta_gradient(
    trial_config: Make, fresh: pytest.MonkeyPatch, cell: str, kind: str
) -> None:
    learner, batch = set_up(config_of(trial_config, cell, kind))
    meta = learner.init(torch.Generator().manual_seed(0), torch.float64)
    assert way(learner.network, CPU) is Way.ACCELERATED
    accelerated, _ = learner.meta_gradient(meta, batch)
    fresh.setattr(accelerator, "library", lambda: None)
    assert way(learner.network, CPU) is Way.RECURRENCES
    by_hand, _ = learner.meta_gradient(meta, batch)
    assert distance(accelerated, by_hand) < 1e-12
