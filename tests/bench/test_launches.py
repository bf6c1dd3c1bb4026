from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.bench import launches
from tests.bench.launches import Operators, Problem


@pytest.mark.parametrize("inner_steps", [1, 5])
def test_recurrences_launch_at_most_half_of_what_autograd_does(inner_steps: int) -> None:
    counts = launches.launches(Problem.of(inner_steps, hidden=2, tasks=2))
    assert 2 * counts["recurrences"] <= min(counts["autograd"], counts["through the loop"]), counts


def test_all_ways_give_the_same_meta_gradient() -> None:
    problem = Problem.of(2, hidden=4, tasks=3)
    expected, *others = (compute(problem) for compute in launches.WAYS_TO_IT.values())
    for gradient in others:
        for name, tensor in expected.items():
            torch.testing.assert_close(gradient[name], tensor, rtol=1e-4, atol=1e-6)


def test_views_and_memory_without_a_value_launch_nothing() -> None:
    x = torch.ones(4, 6)
    with Operators() as operators:
        parts = x.view(2, 12).T[1:].split(3)
        torch.empty_like(parts[0])
        x.add_(1).mul(2)
    assert operators.launched == {"add_": 1, "mul": 1}
    assert not operators.host


@pytest.mark.parametrize("look", [lambda x: x.sum().item(), torch.nonzero, lambda x: torch.equal(x, x), bool])
def test_looks_of_the_host_are_seen(look: Callable[[Tensor], object]) -> None:
    x = torch.ones(1)
    with Operators() as operators:
        look(x)
    assert operators.host


@pytest.mark.parametrize("use", [lambda x: torch.where(x > 0, x, 0.0), lambda x: x.copy_(torch.zeros(3))])
def test_numbers_of_the_host_are_seen(use: Callable[[Tensor], object]) -> None:
    x = torch.ones(3, device="meta")
    with Operators() as operators:
        use(x)
    assert operators.host or operators.devices == {"cpu", "meta"}
