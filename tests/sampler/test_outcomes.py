from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hpo.records import Observation, Outcome
from hpo.sampler.outcomes import MOST_NOISE, clip, is_informative, is_measured, standardize


def _observation(number: int, value: float | None, outcome: Outcome = Outcome.OK) -> Observation:
    return Observation(number=number, params={}, outcome=outcome, value=value)


def test_clip_sets_what_is_above_the_ceiling_to_it() -> None:
    y = np.array([1.0, 2.0, 3.0, 100.0, 1e9])  # median 3, least 1
    np.testing.assert_array_equal(clip(y, k=2.0), [1.0, 2.0, 3.0, 7.0, 7.0])
    np.testing.assert_array_equal(clip(y, k=1.5), [1.0, 2.0, 3.0, 6.0, 6.0])


def test_clip_leaves_a_harmless_sample_alone() -> None:
    y = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    np.testing.assert_array_equal(clip(y), y)


def test_clip_where_most_are_equal_to_the_best() -> None:
    np.testing.assert_array_equal(clip(np.array([0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 90.0]), k=2.0), [0, 0, 0, 0, 1, 2, 6])
    np.testing.assert_array_equal(clip(np.array([5.0, 5.0])), [5, 5])


@given(npst.arrays(float, st.integers(1, 20), elements=st.floats(-1e6, 1e6)))
def test_clip_keeps_the_order_and_everything_up_to_the_median(y: np.ndarray) -> None:
    clipped = clip(y)
    order = np.argsort(y, kind="stable")
    assert (np.diff(clipped[order]) >= 0).all()
    low = y <= np.median(y)
    np.testing.assert_array_equal(clipped[low], y[low])
    assert (clipped <= y).all()


def test_only_outcomes_that_depend_on_the_hyperparameters_inform() -> None:
    kept = [_observation(0, 1.0), _observation(1, 2.0, Outcome.PRUNED), _observation(2, math.nan, Outcome.PRUNED)]
    kept += [_observation(3, None, outcome) for outcome in (Outcome.DIVERGED, Outcome.OUT_OF_MEMORY)]
    ignored = [_observation(4, 1.0, outcome) for outcome in (Outcome.LOST, Outcome.ERROR, Outcome.TIMEOUT)]
    ignored += [_observation(5, None, Outcome.PRUNED), Observation(number=6, params={})]
    assert list(filter(is_informative, kept + ignored)) == kept


@pytest.mark.parametrize("outcome", [Outcome.DIVERGED, Outcome.OUT_OF_MEMORY])
def test_the_value_that_a_failed_trial_had_at_some_time_does_not_count(outcome: Outcome) -> None:
    assert not is_measured(_observation(0, 0.0, outcome))
    assert not is_measured(_observation(0, math.inf, Outcome.PRUNED))


def test_standardized_outcomes_are_clipped_and_restored() -> None:
    outcomes = standardize([_observation(i, value) for i, value in enumerate([1.0, 2.0, 3.0, 1e6])])
    # median 2.5, ceiling 2.5 + 2 * 1.5
    np.testing.assert_allclose(outcomes.restore(outcomes.z), [1, 2, 3, 5.5])


def test_a_pruned_trial_is_never_better_than_the_best_of_the_finished() -> None:
    data = [_observation(i, value) for i, value in enumerate([1.0, 2.0, 3.0])]
    data += [_observation(3 + i, value, Outcome.PRUNED) for i, value in enumerate([0.5, 1.5, 2.5])]
    outcomes = standardize(data)
    np.testing.assert_allclose(outcomes.restore(outcomes.z), [1, 2, 3, 1, 1.5, 2.5])


def test_only_what_was_extrapolated_has_a_noise_of_its_own() -> None:
    """The standard error over tasks that all trials share is no noise to search with; half of it is stated."""
    data = [_observation(i, value) for i, value in enumerate([1.0, 2.0, 3.0])]
    data = [each.model_copy(update={"sem": 0.5}) for each in data]
    data += [
        Observation(number=3 + i, params={}, outcome=Outcome.PRUNED, value=2.0, sem=sem)
        for i, sem in enumerate([0.0, 0.5, 1e300, None])
    ]
    outcomes = standardize(data)
    np.testing.assert_allclose(outcomes.noise, [0, 0, 0, 0, (0.5 / outcomes.scale) ** 2, MOST_NOISE, 0])
    half = (0.25 / outcomes.scale) ** 2
    np.testing.assert_allclose(
        outcomes.stated_noise, np.where(outcomes.noise > 0, outcomes.noise, [half] * 3 + [0] * 4)
    )
    assert not standardize([each.model_copy(update={"value": 2.0}) for each in data]).noise.any(), "nothing differs"


anything = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))


@given(st.lists(st.tuples(anything, st.sampled_from(Outcome)), min_size=1, max_size=12))
def test_every_history_gives_finite_standardized_outcomes(history: list[tuple[float | None, Outcome]]) -> None:
    # a finished trial has a finite value, whatever else a history holds
    data = [
        _observation(i, 1e300 if outcome is Outcome.OK and not math.isfinite(value or math.nan) else value, outcome)
        for i, (value, outcome) in enumerate(history)
    ]
    if data := [observation for observation in data if is_measured(observation)]:
        outcomes = standardize(data)
        assert np.isfinite(outcomes.z).all()
        assert abs(outcomes.z.mean()) < 1e-6
        assert np.isclose(outcomes.z.std(), 1.0) or np.abs(outcomes.z).max() < 1e-6
        assert math.isfinite(outcomes.mean)
        assert outcomes.scale > 0.0
