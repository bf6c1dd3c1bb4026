from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.records import Estimate, Outcome, TrialOutcome
from hpo.tradeoffs import front, logarithms

ENDED = TrialOutcome(
    outcome=Outcome.OK, objective=Estimate(mean=1.0, sem=0.1), seconds=30.0, peak_memory_bytes=2**30, meta_parameters=0
)


def test_logarithms_in_the_order_of_the_measurements() -> None:
    found = logarithms(("meta_parameters", "seconds", "peak_memory_bytes"), ENDED)
    assert found[1:] == pytest.approx((math.log(30.0), 30 * math.log(2)))
    assert math.isfinite(found[0])
    assert logarithms((), ENDED) == ()


def test_only_trainings_to_the_end_are_told() -> None:
    assert logarithms(("seconds",), ENDED.model_copy(update={"outcome": Outcome.PRUNED})) == ()


def test_a_front_in_the_order_of_its_trials() -> None:
    assert front({3: (1.0, 3.0), 1: (2.0, 1.0), 2: (2.0, 3.0), 0: (1.0, 3.5)}) == (3, 1)


def test_equals_stay_together() -> None:
    assert front({0: (1.0, 2.0), 1: (1.0, 2.0), 2: (1.0, 2.5)}) == (0, 1)


coordinates = st.one_of(st.integers(0, 3).map(float), st.floats(0, 3), st.just(math.inf))


@given(st.integers(1, 4).flatmap(lambda m: st.lists(st.tuples(*[coordinates] * m), max_size=12)))
def test_whoever_is_not_on_the_front_is_beaten_by_one_that_is(values: list[tuple[float, ...]]) -> None:
    points = dict(enumerate(values))
    found = front(points)
    assert bool(found) == bool(points)

    def beaten(number: int, others: tuple[int, ...]) -> bool:
        mine = points[number]
        return any(points[o] != mine and all(a <= b for a, b in zip(points[o], mine, strict=True)) for o in others)

    assert not any(beaten(number, tuple(points)) for number in found)
    assert all(beaten(number, found) for number in points if number not in found)
