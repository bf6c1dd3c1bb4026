from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest

from hpo.errors import StudyNotFound, TrialNotFound
from hpo.records import Outcome, TrialOutcome
from hpo.results import queries, store
from hpo.results.engine import Database
from tests.results.conftest import CONFIG, Lab, ok, rung


def test_an_unknown_study_is_told_the_nearest_name(lab: Lab, make_lab: Callable[..., Lab]) -> None:
    make_lab(lab.database, "quickstart")
    with pytest.raises(StudyNotFound, match=r"did you mean 'quickstart'\?\): it holds lab, quickstart"):
        queries.study(lab.database, "quikstart")
    assert queries.find_study(lab.database, "quikstart") is None


def test_an_empty_database_says_how_to_begin(database: Database) -> None:
    with pytest.raises(StudyNotFound, match="hpo launch"):
        queries.best(database, "lab")
    assert queries.summaries(database) == []
    assert queries.workers(database) == []


def test_a_study_of_optunas_is_listed_but_has_no_config(database: Database) -> None:
    optuna.create_study(study_name="mine", storage=database.optuna_storage)
    assert [(row.study, row.status) for row in queries.summaries(database)] == [("mine", None)]
    with pytest.raises(StudyNotFound, match="hpo has not made"):
        queries.study(database, "mine")


def test_running_studies_by_priority(database: Database, make_lab: Callable[..., Lab]) -> None:
    for name in ("first", "second", "paused"):
        make_lab(database, name)
    options = {"direction": "minimize", "metric": "query_loss", "config_hash": "h", "code_version": "0"}
    store.create_study(database, name="urgent", config=CONFIG, priority=5, **options)
    store.set_status(database, queries.study(database, "paused").study_id, "paused")
    assert [row.name for row in queries.running_studies(database)] == ["urgent", "first", "second"]


def test_studies_of_one_priority_share_the_workers(database: Database, make_lab: Callable[..., Lab]) -> None:
    """The one with the fewest trials at work is first; a lease that has run out is nobody's work."""
    labs = {name: make_lab(database, name) for name in ("old", "new")}

    def first() -> str:
        return queries.running_studies(database)[0].name

    begun, _ = labs["old"].started()
    assert first() == "new"
    labs["new"].started()
    assert first() == "old"
    labs["new"].started()
    assert first() == "old"
    labs["old"].started()
    labs["old"].started()
    assert first() == "new"
    labs["old"].expire(begun)
    assert first() == "old"


def test_the_best_with_their_configs(lab: Lab) -> None:
    assert queries.best(lab.database, "lab") == []
    for mean in (0.3, 0.1, 0.2):
        lab.finished(mean)
    rows = queries.best(lab.database, "lab", top=2)
    assert [(row.rank, row.number, row.value, row.parameters) for row in rows] == [
        (1, 1, 0.1, {"lr": 0.1}),
        (2, 2, 0.2, {"lr": 0.1}),
    ]
    assert rows[0].config == CONFIG
    assert len(queries.best(lab.database, "lab", top=100)) == 3


def test_one_trial_in_full(lab: Lab) -> None:
    trial_id, token = lab.started()
    for step in (100, 50):
        store.report(lab.database, trial_id, token, rung(step))
    outcome = ok(0.5)
    store.finish(lab.database, trial_id, token, outcome)
    detail = queries.trial(lab.database, "lab", 0)
    assert (detail.config, detail.curves) == (CONFIG, outcome.curves)
    assert [(row.meta_iteration, row.value, row.sem) for row in detail.reports] == [(50, 1.0, 0.1), (100, 1.0, 0.1)]
    assert detail.trial == queries.study_trials(lab.database, "lab")[0]
    with pytest.raises(TrialNotFound, match="from 0 to 0"):
        queries.trial(lab.database, "lab", 7)


def test_a_study_without_trials(lab: Lab) -> None:
    with pytest.raises(TrialNotFound, match="none yet"):
        queries.trial(lab.database, "lab", 0)
    progress = queries.progress(lab.database, "lab")
    assert (progress.best, progress.running, progress.trials_per_hour, progress.outcomes) == (None, (), None, {})


def test_progress(lab: Lab) -> None:
    for mean in (0.3, 0.1):
        lab.finished(mean)
    store.finish(lab.database, *lab.started(), TrialOutcome(outcome=Outcome.DIVERGED, reason="NaN"))
    trial_id, token = lab.started("w1")
    for step in (50, 100):
        store.report(lab.database, trial_id, token, rung(step, 2.0 / step))
    store.heartbeat(lab.database, "w1", host="h", pid=1, device="cpu", trial_id=trial_id)
    store.heartbeat(lab.database, "idle", host="h", pid=2, device="cpu", trial_id=None)
    lab.ask()
    progress = queries.progress(lab.database, "lab")
    assert progress.counts == store.TrialCounts(running=2, complete=2, failed=1)
    assert progress.outcomes == {"ok": 2, "diverged": 1}
    assert progress.best is not None
    assert progress.best.number == 1
    first, second = progress.running
    assert (first.number, first.worker_id, first.meta_iteration, first.value, first.sem) == (3, "w1", 100, 0.02, 0.1)
    assert (second.number, second.worker_id, second.meta_iteration, second.device) == (4, None, None, None)
    assert [worker.worker_id for worker in progress.workers] == ["w1"]
    assert progress.trials_per_hour is not None
    assert progress.trials_per_hour > 0.0
