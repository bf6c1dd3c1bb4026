"""Torch's kernel and our scans give the same, all tasks at a time or few."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hpo.config.learner import MamlConfig
from hpo.config.model import ModelConfig
from hpo.meta import accelerator
from hpo.meta.cells import CELLS
from hpo.meta.gradients import Way, by_kernel, by_recurrences, gradient_way
from hpo.meta.gradients.by_kernel import KernelLoss, kernel_pays
from hpo.meta.gradients.by_recurrences import RecurrenceLoss
from hpo.meta.learners.maml import Maml
from hpo.meta.network import Network
from hpo.meta.tasks.base import Classes, Episode, Features, TaskBatch
from tests.meta.gradients.oracle import Case, cases, distance, loss_of, relative_error, subsets

EXACT = 1e-5  # float32


def of_equal_lengths(case: Case) -> Case:
    def whole(tensor: torch.Tensor, time: int) -> torch.Tensor:
        return torch.full_like(tensor, time)

    sets = (replace(each, lengths=whole(each.lengths, each.inputs.shape[2])) for each in (case.support, case.query))
    support, query = sets
    return replace(case, support=support, query=query)


@contextlib.contextmanager
def without_accelerator(*, least_units: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(accelerator, "library", lambda: None)
        monkeypatch.setattr(by_kernel, "_LEAST_UNITS", least_units)
        yield


@settings(max_examples=40)
@given(data=st.data())
def test_the_kernels_gradients_are_those_of_autograd(data: st.DataObject) -> None:
    case = of_equal_lengths(data.draw(cases(cell="lstm")))
    assume(isinstance(case.network.input, Features))
    names = data.draw(subsets(case.network))
    case32 = case.to(torch.float32)
    loss = KernelLoss(case.network, case32.support)
    slope = loss.slope(case32.theta, names, keep=False)
    expected = loss_of("autograd", case.network, case.support).slope(case.theta, names, keep=False)
    assert loss.tasks == case.support.tasks
    assert slope.gradient.keys() == expected.gradient.keys()
    assert distance(slope.gradient, expected.gradient) < EXACT
    assert relative_error([slope.predictions], [expected.predictions]) < EXACT
    assert relative_error([loss.predict(case32.theta)], [expected.predictions]) < EXACT
    results = [*slope.gradient.values(), slope.predictions]
    assert len({tensor.data_ptr() for tensor in results}) == len(results), "each in its own memory"
    assert not any(tensor.requires_grad for tensor in (*results, *case32.theta.values()))


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("rates", ["fixed", "learned"])
@settings(max_examples=20)
@given(data=st.data())
def test_a_meta_gradient_by_kernels_is_that_by_scans(order: str, rates: str, data: st.DataObject) -> None:
    case = of_equal_lengths(data.draw(cases(cell="lstm"))).to(torch.float32)
    assume(isinstance(case.network.input, Features))
    steps = data.draw(st.integers(1, 3))
    config = MamlConfig(kind="maml", order=order, inner_steps=steps, inner_lr=0.05, rates=rates)
    learner, batch = Maml(config, case.network), TaskBatch(case.support, case.query)
    meta = learner.init(torch.Generator()) | {name: tensor[0] for name, tensor in case.theta.items()}
    with without_accelerator(least_units=10**6):
        assert gradient_way(case.network, batch.query) is Way.RECURRENCES
        expected, expected_metrics = learner.meta_gradient(meta, batch)
    before = {name: tensor.clone() for name, tensor in meta.items()}
    with without_accelerator(least_units=1):
        assert gradient_way(case.network, batch.query) is Way.KERNEL
        actual, metrics = learner.meta_gradient(meta, batch)
        curves = learner.adaptation(meta, batch.support)
        predictions = [next(curves)(batch.query) for _ in range(2)]
    assert distance(actual, expected) < EXACT
    assert relative_error([metrics.loss], [expected_metrics.loss]) < EXACT
    assert all(torch.equal(tensor, before[name]) for name, tensor in meta.items())
    with without_accelerator(least_units=10**6):
        curves = learner.adaptation(meta, batch.support)
        assert relative_error(predictions, [next(curves)(batch.query) for _ in range(2)]) < EXACT


def test_the_kernel_gives_no_curvature() -> None:
    network, episode = wide("lstm", 128, torch.float32)
    loss = KernelLoss(network, episode)
    params = {name: tensor.expand(2, *tensor.shape) for name, tensor in network.init(torch.Generator()).items()}
    with pytest.raises(NotImplementedError, match="Hessian-vector product"):
        loss.curvature(params, loss.slope(params, network.names, keep=False), params)


@settings(max_examples=20)
@given(data=st.data())
def test_a_few_tasks_at_a_time_change_nothing(data: st.DataObject) -> None:
    case = data.draw(cases(min_tasks=2))
    names = data.draw(subsets(case.network))
    expected = loss_of("recurrences", case.network, case.support).slope(case.theta, names, keep=False)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(by_recurrences, "_CACHED_UNITS", 1)
        loss = loss_of("recurrences", case.network, case.support)
        slope = loss.slope(case.theta, names, keep=False)
        assert isinstance(loss, RecurrenceLoss)
    assert slope.gradient.keys() == expected.gradient.keys()
    assert distance(slope.gradient, expected.gradient) < 1e-12
    assert relative_error([slope.predictions], [expected.predictions]) < 1e-12


def wide(cell: str, units: int, dtype: torch.dtype) -> tuple[Network, Episode]:
    """And two tasks for it."""
    network = Network(ModelConfig(cell=cell, hidden_size=units), Features(2), Classes(2))
    targets = torch.zeros(2, 5, dtype=torch.int64)
    return network, Episode(torch.zeros(2, 5, 3, 2, dtype=dtype), targets, torch.full_like(targets, 3))


def test_the_kernel_runs_where_it_pays_alone() -> None:
    """Wide layers in float32, whose sequences all have one length."""
    for cell, units, dtype, pays in (
        ("lstm", 128, torch.float32, True),
        ("lstm", 64, torch.float32, False),
        ("lstm", 128, torch.float64, False),
        ("gru", 128, torch.float32, False),
    ):
        assert (CELLS[cell].kernel is not None) == (cell == "lstm")
        network, episode = wide(cell, units, dtype)
        assert kernel_pays(network, episode) == pays, (cell, units, dtype)
        assert not kernel_pays(network, replace(episode, lengths=episode.lengths - torch.arange(5) % 2))


def test_without_onednn_there_is_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    network, episode = wide("lstm", 128, torch.float32)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not kernel_pays(network, episode)
