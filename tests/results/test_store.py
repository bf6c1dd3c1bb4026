from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from sqlalchemy import event

from hpo.errors import StudyConflict, StudyNotFound
from hpo.records import AdaptationCurve, CurvePoint, Estimate, Outcome, TrialOutcome
from hpo.results import queries, store
from hpo.results.engine import Database
from hpo.space import Params
from tests.results.conftest import CONFIG, Lab, ok, rung

# Studies


def _create(database: Database, config_hash: str = "h1", name: str = "lab") -> int:
    return store.create_study(
        database,
        name=name,
        direction="maximize",
        metric="query_accuracy",
        config=CONFIG,
        config_hash=config_hash,
        code_version="0.1",
        priority=3,
        task_descriptor={"ways": 5},
        warm_start=["before"],
    )


def test_a_study_comes_back_as_it_was_made(database: Database) -> None:
    study_id = _create(database)
    row = queries.study(database, "lab")
    assert (row.study_id, row.direction, row.metric, row.status) == (study_id, "maximize", "query_accuracy", "running")
    assert (row.config, row.config_hash, row.code_version, row.priority) == (CONFIG, "h1", "0.1", 3)
    assert row.warm_start == ("before",)
    study = optuna.load_study(study_name="lab", storage=database.optuna_storage)
    assert study.direction is optuna.study.StudyDirection.MAXIMIZE
    assert study.metric_names == ["query_accuracy"]


def test_a_second_creator_gets_the_same_study_or_a_conflict(database: Database) -> None:
    study_id = _create(database)
    assert _create(database) == study_id
    with pytest.raises(StudyConflict, match="another config"):
        _create(database, "h2")
    assert queries.study(database, "lab").config_hash == "h1"


def test_a_study_of_optunas_is_not_taken(database: Database) -> None:
    optuna.create_study(study_name="lab", storage=database.optuna_storage)
    with pytest.raises(StudyConflict, match="hpo has not made"):
        _create(database)


def test_creators_at_the_same_moment(database: Database) -> None:
    assert database.optuna_storage is not None
    barrier, made = threading.Barrier(4), []

    def create() -> None:
        barrier.wait()
        made.append(_create(database))

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_status_and_config_can_change(lab: Lab) -> None:
    store.set_status(lab.database, lab.study_id, "paused")
    store.update_study_config(lab.database, lab.study_id, {"new": True}, "h2")
    row = queries.study(lab.database, "lab")
    assert (row.status, row.config, row.config_hash) == ("paused", {"new": True}, "h2")
    with pytest.raises(ValueError, match="asleep"):
        store.set_status(lab.database, lab.study_id, "asleep")
    with pytest.raises(StudyNotFound):
        store.set_status(lab.database, 999, "paused")


def test_what_a_study_is_warm_started_from_can_change(lab: Lab) -> None:
    assert queries.study(lab.database, "lab").warm_start == ()
    for names in (("a", "b"), ()):
        store.set_warm_start(lab.database, lab.study_id, names)
        assert queries.study(lab.database, "lab").warm_start == names
    with pytest.raises(StudyNotFound):
        store.set_warm_start(lab.database, 999, ["a"])


def test_wider_choices_keep_what_was_chosen(lab: Lab) -> None:
    old, new = ("gru", 1, False), (True, "lstm", "gru", 1, 0, False)  # 1 == True and 0 == False, but not here
    for choice in old:
        lab.optuna_study.enqueue_trial({"c": choice})
        lab.optuna_study.ask({"c": CategoricalDistribution(old)})
    params: dict[int, Params] = {t.trial_id: t.parameters for t in queries.recorded_trials(lab.database, lab.study_id)}
    wider = {"c": CategoricalDistribution(new), "never searched": CategoricalDistribution([1])}
    store.update_study_config(lab.database, lab.study_id, {}, "h2", params, wider)
    study = optuna.load_study(study_name="lab", storage=lab.database.optuna_storage)
    study.ask({"c": CategoricalDistribution(new)})  # Optuna takes the wider list
    chosen = [trial.params["c"] for trial in study.trials[:3]]
    assert [(type(choice), choice) for choice in chosen] == [(str, "gru"), (int, 1), (bool, False)]


def test_params_are_restated_with_the_config_or_not_at_all(lab: Lab) -> None:
    trial_id = lab.finished(0.5)
    wider = {"lr": FloatDistribution(1e-5, 2.0, log=True), "size": IntDistribution(1, 8)}
    store.update_study_config(lab.database, lab.study_id, {"new": 1}, "h2", {trial_id: {"lr": 0.1, "size": 4}}, wider)
    (trial,) = optuna.load_study(study_name="lab", storage=lab.database.optuna_storage).trials
    assert (trial.params, trial.distributions, trial.value) == ({"lr": 0.1, "size": 4}, wider, 0.5)
    before = lab.everything(), lab.rows("SELECT * FROM trial_params")
    choices = {"lr": CategoricalDistribution([1, 2])}
    with pytest.raises(ValueError, match=r"lr: 0\.1 has trials and is none of the choices \(1, 2\)"):
        store.update_study_config(lab.database, lab.study_id, {"new": 2}, "h3", {trial_id: {"lr": 0.1}}, choices)
    assert (lab.everything(), lab.rows("SELECT * FROM trial_params")) == before


# Trials


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_reaches_optuna(lab: Lab, outcome: Outcome) -> None:
    trial_id, token = lab.started()
    reason = "because" if outcome.needs_reason else None
    store.finish(
        lab.database,
        trial_id,
        token,
        TrialOutcome(outcome=outcome, reason=reason, objective=Estimate(mean=0.5, sem=0.02)),
    )
    trial = lab.optuna_study.trials[0]
    expected = {Outcome.OK: TrialState.COMPLETE, Outcome.PRUNED: TrialState.PRUNED}.get(outcome, TrialState.FAIL)
    assert trial.state is expected
    assert trial.values == (None if expected is TrialState.FAIL else [0.5])
    shown = {"outcome": outcome.value, "reason": reason, "standard_error": 0.02}
    assert trial.user_attrs == {key: value for key, value in shown.items() if value is not None}
    (row,) = lab.rows("SELECT outcome, reason, sem FROM hpo_trials")
    assert row == {"outcome": outcome.value, "reason": reason, "sem": 0.02}
    assert lab.rows("SELECT * FROM hpo_lease") == []


def test_a_pruned_trial_has_its_last_value(lab: Lab) -> None:
    trial_id, token = lab.started()
    for step, mean in ((50, 0.9), (100, 0.7), (150, math.nan)):
        store.report(lab.database, trial_id, token, rung(step, mean, 0.03))
    store.finish(lab.database, trial_id, token, TrialOutcome(outcome=Outcome.PRUNED))
    (row,) = lab.rows("SELECT state, value, sem FROM hpo_trials")
    assert row == {"state": "PRUNED", "value": 0.7, "sem": 0.03}


def test_a_trial_pruned_before_any_report_has_none(lab: Lab) -> None:
    store.finish(lab.database, *lab.started(), TrialOutcome(outcome=Outcome.PRUNED))
    (row,) = lab.rows("SELECT state, value FROM hpo_trials")
    assert row == {"state": "PRUNED", "value": None}


def test_reports_may_be_repeated(lab: Lab) -> None:
    trial_id, token = lab.started()
    for mean in (0.9, 0.8, 0.8):
        store.report(lab.database, trial_id, token, rung(50, mean))
    assert lab.optuna_study.trials[0].intermediate_values == {50: 0.8}
    assert len(lab.rows("SELECT * FROM hpo_report")) == 1


@pytest.mark.parametrize(("mean", "sem"), [(math.nan, math.nan), (math.inf, math.inf), (-math.inf, 0.0)])
def test_what_blew_up_is_recorded(lab: Lab, mean: float, sem: float) -> None:
    trial_id, token = lab.started()
    bad = Estimate(mean=mean, sem=sem)
    store.report(lab.database, trial_id, token, rung(50, mean, sem))
    curve = AdaptationCurve(split="test", tasks=3, points=(CurvePoint(inner_step=0, loss=bad, accuracy=None),))
    outcome = TrialOutcome(outcome=Outcome.DIVERGED, reason="loss is not finite", objective=bad, curves=(curve,))
    store.finish(lab.database, trial_id, token, outcome)
    point = queries.trial(lab.database, "lab", 0).curves[0].points[0]
    assert point.loss.mean == pytest.approx(mean, nan_ok=True)
    assert point.loss.sem == pytest.approx(sem, nan_ok=True)
    assert lab.optuna_study.trials[0].intermediate_values[50] == pytest.approx(mean, nan_ok=True)


def test_finish_may_be_repeated_and_writes_once(lab: Lab) -> None:
    trial_id, token = lab.started()
    store.finish(lab.database, trial_id, token, ok(0.5))
    before = lab.everything()
    store.finish(lab.database, trial_id, token, ok(0.4))
    assert lab.everything() == before


class Crash(BaseException):
    """As if the process had died."""


@pytest.mark.parametrize("call", ["begin", "report", "finish", "take_over"])
def test_a_crash_at_any_statement_leaves_all_or_nothing(lab: Lab, call: str) -> None:
    """Dies before the first statement, before the second, ... until it gets through; then says it again."""
    trial_id = lab.ask()
    token = 1 if call == "begin" else lab.begin(trial_id)
    if call == "take_over":
        lab.expire(trial_id)
    calls: dict[str, Callable[[], Any]] = {
        "begin": lambda: lab.begin(trial_id),
        "report": lambda: store.report(lab.database, trial_id, token, rung()),
        "finish": lambda: store.finish(lab.database, trial_id, token, ok(0.5)),
        "take_over": lambda: store.take_over(lab.database, trial_id, "other", 60.0),
    }
    before = lab.everything()
    statements = 0
    while _dies_before_statement(lab.database, statements, calls[call]):
        assert lab.everything() == before
        statements += 1
    assert statements >= 2
    assert lab.everything() != before


def _dies_before_statement(database: Database, number: int, call: Callable[[], Any]) -> bool:
    left = number

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash

    event.listen(database.engine, "before_cursor_execute", count)
    try:
        call()
    except Crash:
        return True
    finally:
        event.remove(database.engine, "before_cursor_execute", count)
    return False


def test_trials_are_counted_by_state(lab: Lab) -> None:
    lab.finished(0.5)
    store.finish(lab.database, *lab.started(), TrialOutcome(outcome=Outcome.PRUNED))
    store.finish(lab.database, *lab.started(), TrialOutcome(outcome=Outcome.ERROR, reason="a bug"))
    lab.started()
    lab.optuna_study.enqueue_trial({"lr": 0.5})
    counts = store.count_trials(lab.database, lab.study_id)
    assert counts == store.TrialCounts(waiting=1, running=1, complete=1, pruned=1, failed=1)
    assert (counts.ended, counts.begun) == (3, 4)


def test_heartbeats_replace_each_other(lab: Lab) -> None:
    trial_id, _ = lab.started()
    for current in (None, trial_id):
        store.heartbeat(lab.database, "w1", host="h", pid=42, device="cuda:0", trial_id=current)
    (worker,) = queries.workers(lab.database)
    assert (worker.worker_id, worker.host, worker.pid, worker.device) == ("w1", "h", 42, "cuda:0")
    assert (worker.study, worker.number) == ("lab", 0)
    assert 0.0 <= worker.silent_seconds < 60.0
    store.remove_worker(lab.database, "w1")
    assert queries.workers(lab.database) == []
