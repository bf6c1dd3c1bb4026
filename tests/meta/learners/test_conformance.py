"""What holds for every learner, on every cell and kind of task; a new learner is in learner_cases.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finite_differences import assert_gradient
from learner_cases import CASES, Case
from safetensors.torch import load_file, save_file
from torch import Tensor

from hpo.config import TrialConfig
from hpo.meta.cells import Params
from hpo.meta.evaluate import task_curves
from hpo.meta.learners import Learner, adapt, learner_of
from hpo.meta.outer import Outer
from hpo.meta.tasks import Classes, Episode, Split, TaskBatch, task_family

Make = Callable[..., TrialConfig]
CELLS = [("rnn", "tanh"), ("rnn", "relu"), ("gru", "tanh"), ("lstm", "tanh")]
READOUTS = ["last", "mean"]


@pytest.fixture(params=CASES, ids=str)
def make(trial_config: Make, request: pytest.FixtureRequest) -> Make:
    """The config of a learner and a task family, with ``changes``."""
    case: Case = request.param

    def made(**changes: Any) -> TrialConfig:
        return TrialConfig.from_dict(trial_config(case.family, **changes).to_dict() | {"learner": case.options})

    return made


def set_up(
    config: TrialConfig, tasks: int = 3, dtype: torch.dtype = torch.float64
) -> tuple[Learner, Params, TaskBatch]:
    family = task_family(config.tasks)
    learner = learner_of(config, family)
    batch = family.sample(Split.TRAIN, tasks, np.random.default_rng(0)).to(dtype=dtype)
    return learner, learner.init(torch.Generator().manual_seed(0), dtype), batch


def predictions(learner: Learner, meta: Params, batch: TaskBatch, steps: int | None = None) -> Tensor:
    return adapt(learner, meta, batch.support, learner.inner_steps if steps is None else steps)(batch.query)


def query_loss(learner: Learner, meta: Params, batch: TaskBatch) -> float:
    return float(learner.network.loss(predictions(learner, meta, batch), batch.query.targets).mean())


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_shapes_and_determinism(make: Make, cell: str, nonlinearity: str, readout: str) -> None:
    config = make(model__cell=cell, model__nonlinearity=nonlinearity, model__readout=readout, model__layers=2)
    learner, meta, batch = set_up(config, dtype=torch.float32)
    gradient, metrics = learner.meta_gradient(meta, batch)
    assert {name: tensor.shape for name, tensor in gradient.items()} == {k: t.shape for k, t in meta.items()}
    assert metrics.loss.shape == (3,)
    assert (metrics.accuracy is None) == (not isinstance(learner.network.output, Classes))
    for step in range(learner.inner_steps + 2):
        made = predictions(learner, meta, batch, step)
        assert made.shape == (*batch.query.lengths.shape, learner.network.outputs)
        assert not made.requires_grad
    again = set_up(config, dtype=torch.float32)
    assert all(torch.equal(meta[name], again[1][name]) for name in meta)
    repeated, _ = learner.meta_gradient(meta, batch)
    assert all(torch.equal(gradient[name], repeated[name]) for name in gradient)
    assert torch.equal(predictions(learner, meta, batch), predictions(*again))


@pytest.mark.parametrize("make", [case for case in CASES if case.is_exact], ids=str, indirect=True)
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_the_meta_gradient_equals_finite_differences(make: Make, cell: str, nonlinearity: str) -> None:
    learner, meta, batch = set_up(make(model__cell=cell, model__nonlinearity=nonlinearity))
    gradient, metrics = learner.meta_gradient(meta, batch)
    assert float(metrics.loss.mean()) == pytest.approx(query_loss(learner, meta, batch), rel=1e-12)
    assert_gradient(gradient, lambda at: query_loss(learner, at, batch), meta, meta, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_the_loss_falls(make: Make, cell: str, nonlinearity: str) -> None:
    config = make(model__cell=cell, model__nonlinearity=nonlinearity, model__hidden_size=12, training__outer_lr=0.01)
    learner, meta, batch = set_up(config, tasks=8, dtype=torch.float32)
    before, outer = query_loss(learner, meta, batch), Outer(meta, config.training)
    for _ in range(60):
        outer.step(learner.meta_gradient(outer.meta, batch)[0])
    assert query_loss(learner, outer.meta, batch) < 0.8 * before


def test_saved_and_loaded_parameters_predict_the_same(make: Make, tmp_path: Path) -> None:
    learner, meta, batch = set_up(make(), dtype=torch.float32)
    save_file({name: tensor.contiguous() for name, tensor in meta.items()}, tmp_path / "meta.safetensors")
    loaded = load_file(tmp_path / "meta.safetensors")
    assert torch.equal(predictions(learner, loaded, batch), predictions(learner, meta, batch))


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_padding_does_not_change_results(make: Make, cell: str, nonlinearity: str, readout: str) -> None:
    config = make(model__cell=cell, model__nonlinearity=nonlinearity, model__readout=readout)
    learner, meta, batch = set_up(config)
    longer = TaskBatch(padded(batch.support), padded(batch.query))
    assert torch.allclose(predictions(learner, meta, longer), predictions(learner, meta, batch), rtol=1e-9, atol=1e-12)
    gradients = [learner.meta_gradient(meta, each)[0] for each in (batch, longer)]
    for name in meta:
        assert torch.allclose(gradients[1][name], gradients[0][name], rtol=1e-8, atol=1e-11), name


def padded(episode: Episode) -> Episode:
    """With three more steps of padding that holds anything: padding is 0 in tasks, but nobody may read it."""
    more = list(episode.inputs.shape)
    more[2] = 3
    return Episode(torch.cat([episode.inputs, episode.inputs.new_ones(more)], dim=2), episode.targets, episode.lengths)


def test_tasks_do_not_see_each_other(make: Make) -> None:
    learner, meta, batch = set_up(make(), tasks=4)
    together = predictions(learner, meta, batch)
    apart = torch.cat([predictions(learner, meta, task) for task in batch.chunk(4)])
    assert torch.allclose(together, apart, rtol=1e-9, atol=1e-12)


def test_the_order_of_the_support_set_does_not_matter(make: Make) -> None:
    learner, meta, batch = set_up(make())
    support = batch.support
    backwards = Episode(*(part.flip(1) for part in (support.inputs, support.targets, support.lengths)))
    assert not torch.equal(backwards.targets, support.targets)
    other = TaskBatch(backwards, batch.query)
    assert torch.allclose(predictions(learner, meta, other), predictions(learner, meta, batch), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kept", [slice(0, 2), slice(0, 1)], ids=["one class", "one example"])
def test_a_support_set_of_one_class_or_one_example_gives_a_result(make: Make, kept: slice) -> None:
    learner, meta, batch = set_up(make())
    support = batch.support
    few = Episode(support.inputs[:, kept], support.targets[:, kept], support.lengths[:, kept])
    made = predictions(learner, meta, TaskBatch(few, batch.query))
    assert not made.isnan().any()
    if isinstance(learner.network.output, Classes):
        assert made.softmax(dim=2).isfinite().all()


def test_curves_are_finite(make: Make) -> None:
    learner, meta, batch = set_up(make(), tasks=5, dtype=torch.float32)
    curves = task_curves(learner, meta, batch, range(learner.inner_steps + 2))
    assert all(math.isfinite(point.loss.mean) for point in curves.points())
    assert len(curves.points()) == learner.inner_steps + 2
