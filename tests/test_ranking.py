"""The ranking of candidates against plain formulas, and what must not change it."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.ranking import candidates, ranking

DIRECTIONS = ("minimize", "maximize")
FINITE = st.floats(-1e6, 1e6)


@st.composite
def new_seeds(draw: st.DrawFn, value: st.SearchStrategy[Any] = FINITE) -> dict[int, dict[int, float | None]]:
    seeds = range(1, draw(st.integers(1, 5)) + 1)
    numbers = draw(st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True))
    return {number: {seed: draw(value) for seed in seeds} for number in numbers}


def test_the_best_by_what_is_expected_are_candidates() -> None:
    expected = {4: 0.3, 1: 0.1, 7: 0.2, 2: 0.1}
    assert candidates(expected, "minimize", 3) == (1, 2, 7)
    assert candidates(expected, "maximize", 2) == (4, 7)
    assert candidates(expected, "minimize", 9) == (1, 2, 7, 4)
    assert candidates(expected, "minimize", 0) == candidates({}, "minimize", 3) == ()


def test_of_trials_that_are_one_experiment_the_likely_best_is_a_candidate() -> None:
    expected = {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4, 4: 0.5}
    assert candidates(expected, "minimize", 3, alike=lambda a, b: {a, b} <= {0, 1, 3}) == (0, 2, 4)
    assert candidates(expected, "maximize", 3, alike=lambda a, b: {a, b} <= {0, 1, 3}) == (4, 3, 2)


def test_candidates_are_compared_seed_by_seed() -> None:
    """Seed 2 is harder by 10 for both: beside that the difference of 0.1 would not be seen."""
    best, other = ranking({5: {1: 1.1, 2: 11.1, 3: 1.4}, 3: {1: 1.0, 2: 11.0, 3: 1.2}}, "minimize")
    assert (best.number, other.number) == (3, 5)
    assert best.behind is None
    assert best.estimate is not None
    assert best.estimate.sem > 3
    assert other.behind is not None
    assert other.behind.seeds == 3
    assert other.behind.difference.mean == pytest.approx(0.4 / 3)
    assert other.behind.difference.sem == pytest.approx(np.std([0.1, 0.1, 0.2], ddof=1) / math.sqrt(3))


def test_one_that_failed_with_a_seed_is_behind_those_that_did_not() -> None:
    found = ranking({0: {1: 0.1, 2: None}, 1: {1: 0.9, 2: 0.8}, 2: {1: None, 2: None}}, "minimize")
    assert [(one.number, one.seeds, one.failed) for one in found] == [(1, 2, 0), (0, 1, 1), (2, 0, 2)]
    assert found[1].behind is not None
    assert found[1].behind.seeds == 1
    assert found[1].behind.difference.mean == pytest.approx(-0.8)
    assert found[2].estimate is None
    assert found[2].behind is None


def test_nothing_is_ranked_where_nothing_was_confirmed() -> None:
    assert ranking({}, "minimize") == ()


def test_a_single_seed_has_no_standard_error() -> None:
    best, other = ranking({0: {1: 0.1}, 1: {1: 0.3}}, "minimize")
    assert best.estimate is not None
    assert other.behind is not None
    assert math.isnan(best.estimate.sem)
    assert math.isnan(other.behind.difference.sem)


@given(new_seeds(), st.sampled_from(DIRECTIONS))
def test_means_and_differences_are_numpys(values: dict[int, dict[int, float | None]], direction: str) -> None:
    found = ranking(values, direction)
    table = {number: np.array(list(seeds.values()), float) for number, seeds in values.items()}
    sign = 1 if direction == "minimize" else -1
    means = [sign * table[one.number].mean() for one in found]
    assert all(a <= b + 1e-9 * max(1.0, abs(b)) for a, b in pairwise(means))
    for one in found:
        assert one.estimate is not None
        assert one.estimate.mean == pytest.approx(table[one.number].mean(), abs=1e-6)
    for one in found[1:]:
        gap = sign * (table[one.number] - table[found[0].number])
        assert one.behind is not None
        assert one.behind.difference.mean == pytest.approx(gap.mean(), abs=1e-6)
        if len(gap) > 1:
            expected = gap.std(ddof=1) / math.sqrt(len(gap))
            assert one.behind.difference.sem == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(new_seeds(st.one_of(st.none(), FINITE)), st.sampled_from(DIRECTIONS), st.randoms(use_true_random=False))
def test_the_order_in_which_trainings_ended_does_not_matter(
    values: dict[int, dict[int, float | None]], direction: str, shuffler: random.Random
) -> None:
    numbers = list(values)
    shuffler.shuffle(numbers)
    shuffled = {number: dict(reversed(values[number].items())) for number in numbers}
    assert [one.number for one in ranking(shuffled, direction)] == [one.number for one in ranking(values, direction)]


@given(new_seeds(st.one_of(st.none(), FINITE)))
def test_to_maximize_is_to_minimize_the_negative(values: dict[int, dict[int, float | None]]) -> None:
    negative = {
        number: {seed: None if value is None else -value for seed, value in seeds.items()}
        for number, seeds in values.items()
    }
    one, other = ranking(values, "maximize"), ranking(negative, "minimize")
    assert [(a.number, a.seeds, a.failed) for a in one] == [(b.number, b.seeds, b.failed) for b in other]
    assert [a.behind and a.behind.difference.mean for a in one] == [
        b.behind and b.behind.difference.mean for b in other
    ]
