"""What by_recurrences.py chooses between gives the same: torch's kernel or our scans, all tasks at a time or few."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hpo.config.model import ModelConfig
from hpo.meta.cells import CELLS, Params
from hpo.meta.gradients import by_recurrences
from hpo.meta.gradients.by_recurrences import RecurrenceLoss
from hpo.meta.gradients.kernel_layer import KernelLayer
from hpo.meta.learners.inner_loop import InnerLoop
from hpo.meta.learners.maml import expanded
from hpo.meta.network import Network
from hpo.meta.tasks.base import Classes, Episode, Features
from tests.meta.gradients.oracle import Case, cases, distance, loops, loss_of, relative_error, subsets, with_dtype

EXACT = 1e-5  # float32


def of_equal_lengths(case: Case) -> Case:
    def whole(tensor: torch.Tensor, time: int) -> torch.Tensor:
        return torch.full_like(tensor, time)

    sets = (replace(each, lengths=whole(each.lengths, each.inputs.shape[2])) for each in (case.support, case.query))
    support, query = sets
    own = {name: tensor.clone() for name, tensor in case.theta.items()}  # not shared by the tasks
    return replace(case, theta=own, support=support, query=query)


@contextlib.contextmanager
def by_kernels() -> Iterator[list[int]]:
    """The kernel pays for any size, a task at a time; gives a list with an entry for each of its calls."""
    calls: list[int] = []
    adjoint = KernelLayer.adjoint

    def counting(self: KernelLayer, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return adjoint(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(KernelLayer, "adjoint", counting)
        for name, value in (("_KERNEL_UNITS", 1), ("_KERNEL_CACHED_UNITS", 1)):
            monkeypatch.setattr(by_recurrences, name, value)
        yield calls


@settings(max_examples=40)
@given(data=st.data())
def test_the_kernels_gradients_are_those_of_autograd(data: st.DataObject) -> None:
    case = of_equal_lengths(data.draw(cases(cell="lstm")))
    assume(isinstance(case.network.input, Features))
    names = data.draw(subsets(case.network))
    with by_kernels() as calls:
        case32 = case.to(torch.float32)
        loss = loss_of("recurrences", case.network, case32.support)
        slope = loss.slope(case32.theta, names, keep=False)
    lowest = any(name.startswith("cell") for name in names)
    assert bool(calls) == lowest
    expected = loss_of("autograd", case.network, case.support).slope(case.theta, names, keep=False)
    assert relative_error([slope.loss], [expected.loss]) < EXACT
    assert distance(slope.gradient, expected.gradient) < EXACT


@settings(max_examples=20)
@given(data=st.data())
def test_an_inner_loop_by_kernels_is_that_by_scans(data: st.DataObject) -> None:
    case = of_equal_lengths(data.draw(cases(cell="lstm"))).to(torch.float32)
    assume(isinstance(case.network.input, Features))
    loop = with_dtype(data.draw(loops(case.to(torch.float64))), torch.float32)
    expected = meta_gradient(loop, case)
    with by_kernels() as calls:
        actual = meta_gradient(loop, case)
    assert calls
    assert distance(actual, expected) < EXACT


def meta_gradient(loop: InnerLoop, case: Case) -> Params:
    support, query = (loss_of("recurrences", case.network, each) for each in (case.support, case.query))
    return loop.meta_gradient(case.theta, support, query).theta


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


def wide(cell: str, units: int, examples: int, dtype: torch.dtype) -> tuple[RecurrenceLoss, Params]:
    """Of two tasks, their weights shared."""
    network = Network(ModelConfig(cell=cell, hidden_size=units), Features(2), Classes(2))
    targets = torch.zeros(2, examples, dtype=torch.int64)
    episode = Episode(torch.zeros(2, examples, 3, 2, dtype=dtype), targets, torch.full_like(targets, 3))
    meta = network.init(torch.Generator().manual_seed(0), dtype)
    return RecurrenceLoss(network, network.pack(episode), targets), expanded(meta, 2)


def test_the_kernel_runs_where_it_pays_alone() -> None:
    """Wide layers in float32."""
    for cell, units, dtype, pays in (
        ("lstm", 128, torch.float32, True),
        ("lstm", 64, torch.float32, False),
        ("lstm", 128, torch.float64, False),
        ("gru", 128, torch.float32, False),
    ):
        assert (CELLS[cell].kernel is not None) == (cell == "lstm")
        loss, _ = wide(cell, units, 5, dtype)
        assert loss._kernel_pays == pays, (cell, units, dtype)


def test_weights_that_all_tasks_share_are_left_to_the_scans() -> None:
    loss, theta = wide("lstm", 128, 5, torch.float32)
    with by_kernels() as calls:
        loss.slope(theta, ["head.weight", "cell0.w_hh"], keep=False)
        assert not calls
        loss.slope({name: tensor.clone() for name, tensor in theta.items()}, ["cell0.w_hh"], keep=False)
        assert calls
