"""The adjoint recursion against autograd through the whole inner loop, for every way to the derivatives."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from hpo.meta.cells import Params
from hpo.meta.gradients import EpisodeLoss, Slope
from hpo.meta.learners.inner_loop import InnerLoop
from tests.meta.gradients.oracle import (
    CONFIGS,
    OTHER_BUILDS,
    WAYS,
    Case,
    Expected,
    cases,
    distance,
    error_of_rates,
    loops,
    loss_of,
    nearest_kink,
    relative_error,
    through_the_graph,
    with_dtype,
)

EXACT = {torch.float64: 1e-12, torch.float32: 1e-5}
CLOSE_TO_A_KINK = 1e-5  # float32 may see relu from the other side


def check(way: str, case: Case, loop: InnerLoop, expected: Expected, dtype: torch.dtype) -> None:
    case, loop = case.to(dtype), with_dtype(loop, dtype)
    support, query = loss_of(way, case.network, case.support), loss_of(way, case.network, case.query)
    result = loop.meta_gradient(case.theta, support, query)
    errors = {
        "theta": distance(result.theta, expected.theta),
        "predictions": relative_error([result.predictions], [expected.predictions]),
    }
    if loop.learn_rates:
        errors["rates"] = error_of_rates(loop, result.rates, expected.rates)
    else:
        assert result.rates == []
    assert max(errors.values()) < EXACT[dtype], errors
    results = [*result.theta.values(), *(tensor for rates in result.rates for tensor in rates.values())]
    assert all(tensor.dtype == dtype and not tensor.requires_grad for tensor in results)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cell", CONFIGS)
@settings(max_examples=60)
@given(data=st.data())
def test_equals_autograd_through_the_loop(way: str, cell: str, data: st.DataObject) -> None:
    case = data.draw(cases(cell))
    loop = data.draw(loops(case))
    check(way, case, loop, through_the_graph(case, loop), torch.float64)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cell", CONFIGS)
@settings(max_examples=40)
@given(data=st.data())
def test_equals_autograd_through_the_loop_in_single_precision(way: str, cell: str, data: st.DataObject) -> None:
    case = data.draw(cases(cell))
    loop = data.draw(loops(case))
    expected = []
    assume(nearest_kink(lambda: expected.append(through_the_graph(case, loop))) > CLOSE_TO_A_KINK)
    check(way, case, loop, expected[0], torch.float32)


@pytest.mark.parametrize("way", OTHER_BUILDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@settings(max_examples=12)
@given(data=st.data())
def test_equals_autograd_through_the_loop_in_other_builds(way: str, dtype: torch.dtype, data: st.DataObject) -> None:
    case = data.draw(cases())
    loop = data.draw(loops(case))
    expected = []
    margin = nearest_kink(lambda: expected.append(through_the_graph(case, loop)))
    assume(dtype == torch.float64 or margin > CLOSE_TO_A_KINK)
    check(way, case, loop, expected[0], dtype)


@settings(max_examples=15)
@given(data=st.data())
def test_computing_again_and_wanting_rates_change_nothing(data: st.DataObject) -> None:
    case = data.draw(cases())
    loop = replace(data.draw(loops(case)), recompute=False, learn_rates=False)
    support, query = (loss_of("recurrences", case.network, part) for part in (case.support, case.query))
    plain = loop.meta_gradient(case.theta, support, query).theta
    for change in ({"recompute": True}, {"learn_rates": True}):
        changed = replace(loop, **change).meta_gradient(case.theta, support, query).theta
        assert all(torch.equal(changed[name], plain[name]) for name in plain)


@dataclass(frozen=True)
class Watched:
    """A loss that looks at what it is given."""

    loss: EpisodeLoss
    kept: list[bool]

    @property
    def tasks(self) -> int:
        return self.loss.tasks

    def predict(self, params: Params) -> Tensor:
        return self.loss.predict(params)

    def slope(self, params: Params, names: Collection[str], *, keep: bool) -> Slope:
        assert not any(tensor.requires_grad for tensor in params.values())
        self.kept.append(keep)
        return self.loss.slope(params, names, keep=keep)

    def curvature(self, params: Params, slope: Slope, direction: Params) -> Params:
        assert slope.trace is not None
        assert not any(tensor.requires_grad for tensor in direction.values())
        return self.loss.curvature(params, slope, direction)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=8)
@given(data=st.data())
def test_keeps_no_graph_and_only_the_traces_that_it_needs(way: str, data: st.DataObject) -> None:
    case = data.draw(cases())
    loop = data.draw(loops(case))
    before = {name: tensor.clone() for name, tensor in case.theta.items()}
    support, query = (Watched(loss_of(way, case.network, part), []) for part in (case.support, case.query))
    loop.meta_gradient(case.theta, support, query)
    steps = len(loop.rates)
    again = loop.second and loop.recompute
    assert support.kept == [loop.second and not loop.recompute] * steps + [True] * (steps if again else 0)
    assert query.kept == [False] * (1 + sum(weight != 0 for weight in loop.weights[:-1]))
    assert all(torch.equal(case.theta[name], before[name]) for name in before)
