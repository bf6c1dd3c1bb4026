"""After how many inner steps a trial is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_loop import Recorder, finished, numbers, run

from hpo.config import TrialConfig
from hpo.config.training import ObjectiveConfig
from hpo.errors import Diverged
from hpo.meta import training
from hpo.meta.evaluate import TaskCurves
from hpo.meta.objective import best_point, estimate_of
from hpo.records import CurvePoint, Estimate

Make = Callable[..., TrialConfig]
LOSS = ObjectiveConfig()
ACCURACY = ObjectiveConfig(metric="query_accuracy", direction="maximize")
LOSSES = arrays(np.float64, (6, 4), elements=st.one_of(st.floats(0.0, 9.0), st.sampled_from([math.inf, math.nan])))


def points(losses: Sequence[float], accuracies: Sequence[float]) -> list[CurvePoint]:
    return [
        CurvePoint(inner_step=step, loss=Estimate(mean=loss, sem=0.1), accuracy=Estimate(mean=accuracy, sem=step / 10))
        for step, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), 1)
    ]


def test_the_best_is_that_of_the_studys_metric() -> None:
    found = points([1.2, 1.0, 1.1], [0.3, 0.4, 0.5])
    assert best_point(found, LOSS) == found[1]
    assert best_point(found, ACCURACY) == found[2]
    assert estimate_of(found[2], "query_accuracy") == Estimate(mean=0.5, sem=0.3)  # the error of that step


def test_of_equal_ones_it_is_that_with_the_fewest_steps() -> None:
    found = points([1.0, 1.0, 1.0], [0.4, 0.5, 0.5])
    assert best_point(found, LOSS) == found[0]
    assert best_point(found, ACCURACY) == found[1]


def test_there_is_none_of_nothing() -> None:
    assert best_point([], LOSS) is None


@given(losses=LOSSES, trained=st.integers(0, 5))
def test_the_best_is_never_worse_than_the_trained(losses: np.ndarray, trained: int) -> None:
    """On one curve, whatever diverges after which step."""
    curve = TaskCurves(tuple(range(1, 7)), losses, 1.0 - losses / 9.0)
    for objective, sign in ((LOSS, 1.0), (ACCURACY, -1.0)):
        best = best_point(curve.points(), objective)
        as_trained = [point for point in curve.points() if point.inner_step == trained + 1]
        if as_trained:
            assert best is not None
            mine, theirs = (estimate_of(point, objective.metric).mean for point in (best, *as_trained))
            assert sign * mine <= sign * theirs


@pytest.mark.parametrize("metric", ["query_loss", "query_accuracy"])
def test_the_best_of_the_curve_is_the_objective(trial_config: Make, metric: str) -> None:
    """A large inner rate: what was trained for two steps is best after another number."""
    sections = {"objective__metric": metric, "objective__direction": LOSS.direction}
    if metric == "query_accuracy":
        sections["objective__direction"] = ACCURACY.direction
    config = trial_config(**sections, objective__inner_steps="best", training__eval_steps=5, training__eval_tasks=40)
    events = Recorder()
    outcome = finished(config, events).outcome
    (curve,) = outcome.curves
    assert outcome.inner_steps is not None
    best = best_point(curve.points[1:], config.objective)
    assert best is not None
    assert (outcome.inner_steps, outcome.objective) == (best.inner_step, estimate_of(best, metric))
    assert outcome.objective == events.reports[-1].objective
    assert all(1 <= (report.inner_steps or 0) <= 5 for report in events.reports)


def test_step_0_is_no_candidate(trial_config: Make) -> None:
    """An inner loop that only does harm is judged by the least of it."""
    config = trial_config(
        objective__inner_steps="best", learner__inner_lr=50.0, training__meta_iterations=1, training__eval_tasks=40
    )
    outcome = finished(config).outcome
    (curve,) = outcome.curves
    assert outcome.objective is not None
    assert curve.at(0).loss.mean < outcome.objective.mean
    assert outcome.inner_steps is not None


def test_as_trained_nothing_is_recorded(trial_config: Make) -> None:
    events = Recorder()
    outcome = finished(trial_config(), events).outcome
    assert outcome.inner_steps is None
    assert [report.inner_steps for report in events.reports] == [None] * 3


def test_a_given_number_is_what_the_objective_is_measured_after(trial_config: Make) -> None:
    """Beyond twice the trained ones too: the curve goes as far."""
    outcome = finished(trial_config(objective__inner_steps=7, learner__inner_lr=0.01)).outcome
    assert outcome.inner_steps == 7
    assert [point.inner_step for point in outcome.curves[0].points] == list(range(8))
    assert outcome.objective == outcome.curves[0].at(7).loss


def test_a_step_that_diverges_is_not_chosen(trial_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def some(learner: object, meta: object, batch: object, steps: Sequence[int]) -> TaskCurves:
        losses = np.array([[9.0, 9.0], [2.0, 3.0], [1.0, math.inf], [2.0, 2.0], [math.nan, 0.0]])
        return TaskCurves(tuple(steps), losses[list(steps)], None)

    monkeypatch.setattr(training, "task_curves", some)
    assert finished(trial_config(objective__inner_steps="best")).outcome.inner_steps == 3


def test_where_every_step_diverges_the_trial_does(trial_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "task_curves", lambda *_: TaskCurves((1, 2), np.full((2, 3), math.inf), None))
    with pytest.raises(Diverged, match="meta-iteration 2: the query loss of the meta-validation tasks is inf"):
        run(trial_config(objective__inner_steps="best"))


def test_resumed_after_its_end_it_has_the_same_number(trial_config: Make, tmp_path: Path) -> None:
    config = trial_config(objective__inner_steps="best")
    first, again = finished(config, directory=tmp_path), finished(config, directory=tmp_path)
    assert numbers(first) == numbers(again)
    assert first.outcome.inner_steps == again.outcome.inner_steps is not None
