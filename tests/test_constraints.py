from __future__ import annotations

import math
from typing import Any

import pytest

from hpo.config.constraints import ConstraintsConfig, in_words
from hpo.config.study import StudyConfig
from hpo.constraints import compliance
from hpo.records import AdaptationCurve, CurvePoint, Estimate, Outcome, TrialOutcome
from tests.end_to_end.support import CONFIG

TRIAL = StudyConfig.from_dict(CONFIG).trial_config({"learner.inner_steps": 2})
CURVE = AdaptationCurve(
    split="validation",
    tasks=4,
    points=tuple(
        CurvePoint(inner_step=k, loss=Estimate(mean=2.0 - k / 2, sem=0.1), accuracy=Estimate(mean=k / 5, sem=0.1))
        for k in range(4)
    ),
)
ENDED = TrialOutcome(
    outcome=Outcome.OK,
    objective=Estimate(mean=1.0, sem=0.1),
    seconds=30.0,
    peak_memory_bytes=2**30,
    meta_parameters=1000,
    curves=(CURVE,),
)


def bounds(**values: float) -> Any:
    return ConstraintsConfig(**values).each


@pytest.mark.parametrize(
    ("values", "excess", "violated"),
    [
        ({"seconds": 60.0}, [math.log(0.5)], None),
        ({"seconds": 30.0}, [0.0], None),
        ({"seconds": 20.0}, [math.log(1.5)], "seconds at most 20: 30"),
        ({"peak_memory_bytes": 2.0**29}, [math.log(2)], "peak_memory_bytes at most 536,870,912: 1,073,741,824"),
        ({"meta_parameters": 500.0}, [math.log(2)], "meta_parameters at most 500: 1,000"),
        # after two inner steps, as many as it was trained for
        ({"query_loss": 0.75}, [0.25], "query_loss at most 0.75: 1"),
        ({"query_accuracy": 0.3}, [-0.1], None),
        ({"query_accuracy": 0.5}, [0.1], "query_accuracy at least 0.5: 0.4"),
        (
            {"meta_parameters": 500.0, "seconds": 10.0},
            [math.log(3), math.log(2)],
            "seconds at most 10: 30; meta_parameters at most 500: 1,000",
        ),
    ],
)
def test_excess_and_words(values: dict[str, float], excess: list[float], violated: str | None) -> None:
    found = compliance(bounds(**values), TRIAL, ENDED)
    assert found is not None
    assert found.excess == pytest.approx(excess)
    assert found.violated == violated


def test_loss_and_accuracy_are_judged_where_the_objective_is() -> None:
    """After the test-time steps that the trial has chosen, not after those that it was trained for."""
    chosen = ENDED.model_copy(update={"inner_steps": 3})
    found = compliance(bounds(query_accuracy=0.5), TRIAL, chosen)
    assert found is not None
    assert found.excess == pytest.approx([-0.1])


def test_only_trainings_to_the_end_of_a_constrained_study_are_judged() -> None:
    assert compliance((), TRIAL, ENDED) is None
    assert compliance(bounds(seconds=1.0), TRIAL, ENDED.model_copy(update={"outcome": Outcome.PRUNED})) is None


def test_what_took_no_measurable_time_satisfies_every_bound() -> None:
    found = compliance(bounds(seconds=1.0), TRIAL, ENDED.model_copy(update={"seconds": 0.0}))
    assert found is not None
    assert found.violated is None
    assert all(map(math.isfinite, found.excess))


def test_in_words() -> None:
    constraints = {"seconds": 60, "query_accuracy": 0.5}
    assert in_words({**CONFIG, "constraints": constraints}) == "seconds at most 60, query_accuracy at least 0.5"
    assert in_words(StudyConfig.from_dict(CONFIG).meaning()) == ""
    assert in_words({}) == ""  # of a study from before
