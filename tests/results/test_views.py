from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from sqlalchemy import text

from hpo.records import Estimate, Outcome, TrialOutcome
from hpo.results import store, views
from hpo.results.engine import Database, connect
from hpo.results.urls import parse_url
from tests.results.conftest import Lab, ok, rung

GOLDEN = Path(__file__).parent.parent / "golden"
CHOICES = (True, False, 1, 2.5, "1", 'it\'s "so", ü', None)


def _decoded(database: Database, name: str) -> list[dict[str, Any]]:
    sql = "SELECT parameters FROM hpo_trials WHERE study = :name ORDER BY number"
    with database.reading() as connection:
        rows = connection.execute(text(sql), {"name": name}).scalars().all()
    return [json.loads(row) if isinstance(row, str) else row for row in rows]


def _typed(params: dict[str, Any]) -> dict[str, tuple[type, Any]]:
    return {name: (type(value), value) for name, value in params.items()}


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_sql_of_the_views_is_the_golden_one(dialect: str) -> None:
    made = "\n\n".join(f"CREATE VIEW {name} AS\n{sql};" for name, sql in views.statements(dialect).items()) + "\n"
    assert made == (GOLDEN / f"views.{dialect}.sql").read_text(encoding="utf-8")


def test_parameters_are_decoded_as_optuna_decodes_them(lab: Lab) -> None:
    distributions: dict[str, Any] = {
        "a.float": FloatDistribution(1e-6, 10.0, log=True),
        "a.stepped": FloatDistribution(0.0, 1.0, step=0.25),
        "b.int": IntDistribution(-5, 1_000_000),
        "c.choice": CategoricalDistribution(CHOICES),
        "d 'quoted' \"name\"": CategoricalDistribution(("x", "y")),
    }
    for choice in CHOICES:
        lab.optuna_study.add_trial(
            optuna.trial.create_trial(
                params=dict(zip(distributions, (1e-5, 1.0, 7, choice, "y"), strict=True)),
                distributions=distributions,
                value=0.5,
            )
        )
    lab.optuna_study.ask({"a.float": distributions["a.float"]})  # a conditional space: the others are inactive
    expected = [_typed(trial.params) for trial in lab.optuna_study.get_trials(deepcopy=False)]
    assert [_typed(params) for params in _decoded(lab.database, "lab")] == expected


def test_a_trial_without_parameters_and_a_foreign_choice_without_json(database: Database) -> None:
    study = optuna.create_study(study_name="foreign", storage=database.optuna_storage)
    study.ask()
    study.ask({"c": CategoricalDistribution((math.nan, "a"))})
    study.ask({"f": FloatDistribution(-1e300, 1e300)})
    none, choice, _ = _decoded(database, "foreign")
    assert none == {}
    assert choice == {"c": None}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False, width=64))
def test_floats_keep_their_value_and_stay_floats(sqlite_made_url: str, value: float) -> None:
    _keeps_float(sqlite_made_url, value)


@pytest.mark.parametrize("value", [0.1, 0.1 + 0.2, 1.0, -0.0, 1e-5, 1e22, 1 / 3, 123456789.0, 5e-324, 1.7e308])
def test_floats_keep_their_value_in_postgresql(postgres_made_url: str, value: float) -> None:
    _keeps_float(postgres_made_url, value)


def _keeps_float(url: str, value: float) -> None:
    with connect(url) as database, database.engine.connect() as connection:
        insert = "INSERT INTO studies (study_id, study_name) VALUES (77, 'f')"
        connection.execute(text(insert))
        connection.execute(text("INSERT INTO trials (trial_id, number, study_id, state) VALUES (77, 0, 77, 'RUNNING')"))
        connection.execute(
            text(
                "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)"
                " VALUES (77, 'x', :v, :d)"
            ),
            {"v": value, "d": '{"name": "FloatDistribution", "attributes": {}}'},
        )
        row = connection.execute(text("SELECT parameters FROM hpo_trials WHERE trial_id = 77")).scalar_one()
        connection.rollback()
    decoded = (json.loads(row) if isinstance(row, str) else row)["x"]
    assert isinstance(decoded, float)
    assert decoded == pytest.approx(value, rel=3e-16, abs=0.0)  # SQLite prints 17 digits to one unit in the last place


def test_one_row_a_trial_with_everything(lab: Lab) -> None:
    trial_id, token = lab.started()
    store.report(lab.database, trial_id, token, rung(50, 0.9, 0.05))
    store.record_checkpoint(lab.database, trial_id, token, "file:///tmp/c")
    store.finish(lab.database, trial_id, token, ok(0.5, 0.02).model_copy(update={"inner_steps": 4}))
    store.set_posterior(lab.database, lab.study_id, {0: Estimate(mean=0.55, sem=0.03)})
    (row,) = lab.rows("SELECT * FROM hpo_trials")
    times = {name: row.pop(name) for name in ("started_at", "completed_at")}
    assert all(len(time) == 24 and time.endswith("Z") and time[10] == "T" for time in times.values())
    parameters = row.pop("parameters")
    assert (json.loads(parameters) if isinstance(parameters, str) else parameters) == {"lr": 0.1}
    assert row == {
        "study": "lab",
        "number": 0,
        "state": "COMPLETE",
        "outcome": "ok",
        "reason": None,
        "value": 0.5,
        "sem": 0.02,
        "posterior_mean": 0.55,
        "seconds": 12.5,
        "meta_iterations": 300,
        "peak_memory_bytes": 5_000_000_000,
        "gradients": "recurrences",
        "host": "host",
        "device": "cpu",
        "attempts": 1,
        "seed": 7,
        "checkpoint_uri": "file:///tmp/c",
        "study_id": lab.study_id,
        "trial_id": trial_id,
        "posterior_sd": 0.03,
        "confirms": None,
        **dict.fromkeys(("confirmed_mean", "confirmed_sem", "confirmed_seeds", "confirmed_failed")),
        "objective_inner_steps": 4,
        "meta_parameters": 6789,
        "violated": None,
    }
    (curve,) = lab.rows("SELECT number, meta_iteration, value, sem, seconds FROM hpo_curves")
    assert curve == {"number": 0, "meta_iteration": 50, "value": 0.9, "sem": 0.05, "seconds": 5.0}
    steps = lab.rows(
        "SELECT inner_step, loss, loss_sem, accuracy, tasks FROM hpo_adaptation_curves ORDER BY inner_step"
    )
    assert [tuple(step.values()) for step in steps] == [(0, 1.6, 0.02, 0.2, 200), (1, 0.5, 0.02, None, 200)]


def test_times_are_utc(lab: Lab) -> None:
    lab.finished(0.5)
    (row,) = lab.rows(
        "SELECT t.started_at, s.created_at FROM hpo_trials AS t JOIN hpo_studies AS s ON s.study = t.study"
    )
    assert abs(_epoch(row["started_at"]) - _epoch(row["created_at"])) < 60.0


def _epoch(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def test_values_that_are_not_finite(lab: Lab) -> None:
    for value in (math.inf, -math.inf):
        lab.optuna_study.add_trial(optuna.trial.create_trial(value=value))
    trial_id, token = lab.started()
    store.report(lab.database, trial_id, token, rung(50, math.nan))
    assert [row["value"] for row in lab.rows("SELECT value FROM hpo_trials ORDER BY number")] == [
        math.inf,
        -math.inf,
        None,
    ]
    (curve,) = lab.rows("SELECT value FROM hpo_curves")
    assert curve["value"] is None  # SQLite has no NaN


@pytest.mark.parametrize(("direction", "order"), [("minimize", [1, 2, 0, 3]), ("maximize", [3, 0, 2, 1])])
def test_the_ranking_follows_the_direction(
    database: Database, make_lab: Callable[..., Lab], direction: str, order: list[int]
) -> None:
    lab = make_lab(database, direction=direction)
    for mean in (0.3, 0.1, 0.2):
        lab.finished(mean)
    lab.optuna_study.add_trial(optuna.trial.create_trial(value=math.inf))
    trial_id, token = lab.started()
    store.finish(database, trial_id, token, TrialOutcome(outcome=Outcome.DIVERGED, reason="loss is NaN"))
    ranked = lab.rows("SELECT rank, number FROM hpo_best_configs ORDER BY rank")
    assert [row["number"] for row in ranked] == order
    assert [row["rank"] for row in ranked] == [1, 2, 3, 4]


def test_posterior_means_outrank_lucky_values(lab: Lab) -> None:
    for mean in (0.1, 0.2, 0.15):
        lab.finished(mean)
    posterior = {number: Estimate(mean=mean, sem=0.1) for number, mean in ((0, 0.25), (1, 0.18), (99, 0.0))}
    store.set_posterior(lab.database, lab.study_id, posterior)
    ranked = lab.rows("SELECT number, posterior_mean FROM hpo_best_configs ORDER BY rank")
    assert [(row["number"], row["posterior_mean"]) for row in ranked] == [(2, None), (1, 0.18), (0, 0.25)]


def test_each_study_has_its_own_ranking(database: Database, make_lab: Callable[..., Lab]) -> None:
    for name, means in (("one", (0.5, 0.4)), ("two", (0.1,))):
        lab = make_lab(database, name)
        for mean in means:
            lab.finished(mean)
    ranked = lab.rows("SELECT study, rank, value FROM hpo_best_configs ORDER BY study, rank")
    assert [tuple(row.values()) for row in ranked] == [("one", 1, 0.4), ("one", 2, 0.5), ("two", 1, 0.1)]


# Deleting through Optuna


def test_optunas_delete_takes_hpos_rows_along(lab: Lab, made_url: str) -> None:
    lab.finished(0.5)
    trial_id, token = lab.started()
    store.report(lab.database, trial_id, token, rung())
    store.heartbeat(lab.database, "w", host="h", pid=1, device="cpu", trial_id=trial_id)
    plain = optuna.storages.RDBStorage(parse_url(made_url).revealed)  # as the dashboard opens it
    optuna.delete_study(study_name="lab", storage=plain)
    plain.engine.dispose()
    assert all(rows == [] for rows in lab.everything().values())
    assert lab.rows("SELECT worker_id, trial_id FROM hpo_worker") == [{"worker_id": "w", "trial_id": None}]


def test_a_new_study_inherits_nothing(lab: Lab, make_lab: Callable[..., Lab]) -> None:
    lab.finished(0.5)
    optuna.delete_study(study_name="lab", storage=lab.database.optuna_storage)
    again = make_lab(lab.database)
    again.ask()
    (row,) = again.rows("SELECT state, outcome, sem, attempts FROM hpo_trials")
    assert row == {"state": "RUNNING", "outcome": None, "sem": None, "attempts": None}


# Other programs


def test_the_sqlite3_program_reads_the_views(sqlite_made_url: str, make_lab: Callable[..., Lab]) -> None:
    program = shutil.which("sqlite3")
    if program is None:
        pytest.skip("the sqlite3 program is not installed")
    with connect(sqlite_made_url) as database:
        make_lab(database).finished(0.25)
    done = subprocess.run(
        [program, sqlite_made_url.removeprefix("sqlite:///"), "select * from hpo_best_configs limit 3"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == 'lab|1|0|0.25|0.01||{"lr":0.1}|12.5|1|1|||||||\n'


def test_the_psql_program_reads_the_views(
    postgres_made_url: str, postgres_server: Any, make_lab: Callable[..., Lab]
) -> None:
    with connect(postgres_made_url) as database:
        make_lab(database).finished(0.25)
    command = [postgres_server.psql, postgres_made_url, "-At", "-c", "select * from hpo_best_configs limit 3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == 'lab|1|0|0.25|0.01||{"lr": 0.1}|12.5|1|1|||||||\n'
