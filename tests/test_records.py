from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hpo.records import (
    AdaptationCurve,
    CurvePoint,
    Estimate,
    Observation,
    Outcome,
    Record,
    Report,
    TrialOutcome,
    TrialSpec,
)

seconds = st.floats(0.0, 1e9)
anything = st.floats(width=64)
estimates = st.builds(Estimate, mean=anything, sem=st.floats(0.0) | st.just(math.nan))
finite = st.builds(Estimate, mean=st.floats(-1e300, 1e300), sem=st.floats(0.0, 1e300))
points = st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True).flatmap(
    lambda steps: st.tuples(
        *[
            st.builds(CurvePoint, inner_step=st.just(k), loss=estimates, accuracy=st.none() | estimates)
            for k in sorted(steps)
        ]
    )
)
curves = st.builds(AdaptationCurve, split=st.sampled_from(["validation", "test"]), tasks=st.integers(1), points=points)
params = st.dictionaries(st.text(), st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), max_size=4)
records = st.one_of(
    estimates,
    curves,
    st.builds(Report, meta_iteration=st.integers(0), objective=estimates, seconds=seconds),
    st.builds(
        TrialSpec, trial_id=st.integers(), number=st.integers(0), config=params, device=st.just("cuda:0"),
        threads=st.integers(1), checkpoint_dir=st.none() | st.text(),
    ),
    st.builds(
        TrialOutcome, outcome=st.sampled_from(Outcome), reason=st.text(), objective=finite,
        meta_iterations=st.integers(0), seconds=seconds, peak_memory_bytes=st.integers(0),
        gradients=st.none() | st.text(), curves=st.lists(curves, max_size=2).map(tuple),
    ),
    st.builds(
        Observation, number=st.integers(0), params=params, outcome=st.none() | st.sampled_from(Outcome),
        value=st.floats(-1e300, 1e300), sem=st.none() | st.floats(0.0),
    ),
)  # fmt: skip


@settings(deadline=None)
@given(records)
def test_json_round_trips(record: Record) -> None:
    text = record.model_dump_json()
    again = type(record).model_validate_json(text)
    assert repr(again) == repr(record)  # NaN is not equal to itself, but looks the same
    assert again.model_dump_json() == text
    assert "\n" not in text


@pytest.mark.parametrize("value", [True, 1, 1.0, "1"])
def test_params_keep_their_types(value: object) -> None:
    again = Observation.model_validate_json(Observation(number=0, params={"x": value}).model_dump_json())
    assert type(again.params["x"]) is type(value)


ESTIMATE = Estimate(mean=0.5, sem=0.1)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome.needs_reason])
def test_a_failure_has_a_reason_and_needs_no_objective(outcome: Outcome) -> None:
    assert TrialOutcome(outcome=outcome, reason="why").objective is None
    with pytest.raises(ValidationError, match=f"ended as {outcome.value} has a reason"):
        TrialOutcome(outcome=outcome, objective=ESTIMATE)


def test_a_pruned_trial_may_have_neither() -> None:
    assert TrialOutcome(outcome=Outcome.PRUNED).reason is None


@pytest.mark.parametrize(
    "objective",
    [None, Estimate(mean=math.nan, sem=0.0), Estimate(mean=math.inf, sem=0.0), Estimate(mean=0.0, sem=math.nan)],
)
def test_an_ok_trial_has_a_finite_objective(objective: Estimate | None) -> None:
    assert TrialOutcome(outcome=Outcome.OK, objective=ESTIMATE).reason is None
    with pytest.raises(ValidationError, match="an ok trial has a finite objective"):
        TrialOutcome(outcome=Outcome.OK, objective=objective)


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_an_ok_observation_has_a_finite_value(value: float | None) -> None:
    with pytest.raises(ValidationError, match="an ok trial has a finite value"):
        Observation(number=0, params={}, outcome=Outcome.OK, value=value)


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (Estimate, {"mean": 1.0, "sem": -0.1}),
        (Estimate, {"mean": 1.0}),
        (Estimate, {"mean": 1.0, "sem": 0.0, "median": 1.0}),
        (Observation, {"number": 0, "params": {}, "sem": 0.1}),
        (Observation, {"number": 0, "params": {}, "value": 1.0, "sem": -0.1}),
        (Observation, {"number": 0, "params": {"x": None}}),
        (Report, {"meta_iteration": -1, "objective": ESTIMATE, "seconds": 0.0}),
        (Report, {"meta_iteration": 1, "objective": ESTIMATE, "seconds": -1.0}),
        (TrialSpec, {"trial_id": 0, "number": 0, "config": {}, "device": "cpu", "threads": 0}),
        (TrialOutcome, {"outcome": "fine"}),
        (TrialOutcome, {"outcome": "pruned", "peak_memory_bytes": -1}),
        (AdaptationCurve, {"split": "test", "tasks": 1, "points": ()}),
        (AdaptationCurve, {"split": "test", "tasks": 0, "points": (CurvePoint(inner_step=0, loss=ESTIMATE),)}),
    ],
)
def test_what_is_not_valid_cannot_be_made(record: type[Record], fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        record(**fields)


@pytest.mark.parametrize("steps", [(1, 0), (0, 0), (0, 2, 1)])
def test_the_points_of_a_curve_ascend(steps: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="ascend"):
        AdaptationCurve(split="test", tasks=2, points=tuple(CurvePoint(inner_step=k, loss=ESTIMATE) for k in steps))


def test_a_curve_is_read_by_inner_step() -> None:
    curve = AdaptationCurve(
        split="test", tasks=2, points=tuple(CurvePoint(inner_step=k, loss=Estimate(mean=k, sem=0)) for k in (0, 5))
    )
    assert curve.at(5).loss.mean == 5
    with pytest.raises(KeyError):
        curve.at(3)


def test_records_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ESTIMATE.mean = 1.0  # type: ignore[misc]
