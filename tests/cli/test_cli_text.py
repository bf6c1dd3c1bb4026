from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.cli import text


@pytest.mark.parametrize(
    ("mean", "sem", "expected"),
    [
        (0.81234, 0.01234, "0.812 ± 0.012"),
        (2.371, 0.4958, "2.37 ± 0.50"),
        (123.4, 56.7, "123 ± 57"),
        (0.5, 0.00012345, "0.50000 ± 0.00012"),
        (0.5, 0.0, "0.5000 ± 0.0000"),
        (0.5, None, "0.5000"),
        (float("inf"), 0.1, "inf"),
        (None, 0.1, "-"),
    ],
)
def test_estimates_have_the_decimals_that_their_error_allows(mean: float, sem: float, expected: str) -> None:
    assert text.estimate(mean, sem) == expected


@pytest.mark.parametrize(
    ("mean", "deviation", "expected"),
    [
        (1.35, 0.0109, "1.350 [1.332, 1.368]"),
        (-2.0, 1.0, "-2.0 [-3.6, -0.4]"),
        (0.5, 0.0, "0.5000 [0.5000, 0.5000]"),
        (0.5, None, "0.5000"),
        (0.5, float("nan"), "0.5000"),
        (None, None, "-"),
    ],
)
def test_an_interval_holds_90_percent_of_a_normal(mean: float, deviation: float, expected: str) -> None:
    assert text.interval(mean, deviation) == expected


@given(st.floats(-1e6, 1e6), st.floats(1e-5, 1e3))
def test_an_estimate_is_off_by_less_than_a_tenth_of_its_error(mean: float, sem: float) -> None:
    shown, error = (float(part) for part in text.estimate(mean, sem).split(" ± "))
    assert abs(shown - mean) <= max(0.06 * sem, 0.51)  # above an error of 10 there are no decimals
    assert abs(error - sem) <= max(0.06 * sem, 0.51)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "-"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3725, "1 h 02 min"),
        (3599.7, "1 h 00 min"),
        (100_000, "1 d 3 h"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert text.duration(seconds) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.002134, "0.002134"),
        (0.00001234, "1.234e-05"),
        (123.456, "123.5"),
        (123456.7, "123457"),
        (-1234.5, "-1234"),
        (2.5e9, "2.5e+09"),
        (1234567, "1234567"),
        (float("inf"), "inf"),
    ],
)
def test_numbers(value: float, expected: str) -> None:
    assert text.number(value) == expected


@pytest.mark.parametrize(("size", "expected"), [(None, "-"), (2**20, "1 MiB"), (3 * 2**30 // 2, "1.5 GiB")])
def test_memory(size: int, expected: str) -> None:
    assert text.memory(size) == expected


def test_parameters_lose_their_section_unless_two_would_look_alike() -> None:
    assert text.params({"model.cell": "gru", "learner.inner_lr": 0.123456, "model.flag": True}) == (
        "cell=gru inner_lr=0.1235 flag=true"
    )
    assert text.params({"a.lr": 1, "b.lr": 2, "c.steps": None}) == "a.lr=1 b.lr=2 steps=null"


def test_control_characters_are_shown_not_obeyed() -> None:
    assert text.printable("a\x1b[31mb\nc") == "a\\x1b[31mb\\nc"
    assert text.printable("größe 東京") == "größe 東京"


def test_one_line_is_the_first_and_not_too_long() -> None:
    assert text.one_line("first\nsecond") == "first"
    assert text.one_line("x" * 200, width=10) == "x" * 9 + "…"
