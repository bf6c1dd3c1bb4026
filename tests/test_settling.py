"""The stop rule, as a pure function."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.records import Prospect
from hpo.settling import SUGGESTIONS, is_settled, reason

POSITIVE = st.floats(1e-6, 1e3)


def prospects(*gains: float, noise: float = 0.1) -> list[Prospect]:
    return [Prospect(gain=gain, noise=noise) for gain in gains]


def test_all_that_are_left_together_are_compared_with_the_noise() -> None:
    newest = prospects(*[0.009] * SUGGESTIONS)
    assert is_settled(newest, 10)
    assert not is_settled(newest, 12)


@pytest.mark.parametrize("doubtful", range(SUGGESTIONS))
def test_one_promising_suggestion_among_the_newest_keeps_it_going(doubtful: int) -> None:
    gains = [0.001] * SUGGESTIONS
    gains[doubtful] = 0.5
    assert not is_settled(prospects(*gains), 10)
    assert is_settled(prospects(*gains, *[0.001] * SUGGESTIONS), 10)


def test_too_few_suggestions_settle_nothing() -> None:
    assert not is_settled([], 10)
    assert not is_settled(prospects(*[0.0] * (SUGGESTIONS - 1)), 10)


def test_without_noise_only_no_gain_at_all_is_too_small() -> None:
    assert not is_settled(prospects(*[1e-12] * SUGGESTIONS, noise=0.0), 1)


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=SUGGESTIONS, max_size=9), st.integers(1, 1000), POSITIVE)
def test_the_unit_of_the_objective_does_not_matter(pairs: list[tuple[float, float]], left: int, unit: float) -> None:
    found = [Prospect(gain=gain, noise=noise) for gain, noise in pairs]
    scaled = [Prospect(gain=unit * gain, noise=unit * noise) for gain, noise in pairs]
    margin = min(abs(left * gain / noise - 1) for gain, noise in pairs)
    assert margin < 1e-9 or is_settled(found, left) == is_settled(scaled, left)


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=SUGGESTIONS, max_size=9), st.integers(2, 1000))
def test_the_fewer_are_left_the_sooner_it_is_settled(pairs: list[tuple[float, float]], left: int) -> None:
    found = [Prospect(gain=gain, noise=noise) for gain, noise in pairs]
    assert is_settled(found, left - 1) or not is_settled(found, left)


def test_it_says_why() -> None:
    assert reason(Prospect(gain=0.00079, noise=0.123), 63) == (
        "the expected gain of 63 more, at most 0.05, is below what the noise lets one see, 0.12"
    )
