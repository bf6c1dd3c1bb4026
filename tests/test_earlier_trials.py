"""A study whose search space changes while it has trials, on a real database, without training."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from hpo import study
from hpo.config import StudyConfig
from hpo.errors import StudyConflict
from hpo.records import Estimate
from hpo.results import queries, store
from hpo.results.engine import Database
from hpo.sampler import distributions
from hpo.space import Params
from tests.end_to_end.support import CONFIG
from tests.test_study import config, database, lease, ok

__all__ = ["database"]  # a fixture

RATE = {"learner.inner_lr": {"type": "float", "low": 0.01, "high": 0.1, "log": True}}
CELL = {"model.cell": {"type": "categorical", "choices": ["gru", "lstm"]}}
NARROW: dict[str, Any] = {**RATE, **CELL, "training.meta_batch": {"type": "int", "low": 4, "high": 8, "step": 2}}
WIDE: dict[str, Any] = {
    "model.hidden_size": {"type": "int", "low": 2, "high": 6},  # of the config, which all trials had: 4
    "model.nonlinearity": {"type": "categorical", "choices": ["relu", "tanh"], "when": {"model.cell": ["rnn"]}},
    "learner.inner_lr": {"type": "float", "low": 0.001, "high": 0.5, "log": True},
    "model.cell": {"type": "categorical", "choices": ["rnn", "lstm", "gru"]},
    "training.meta_batch": {"type": "int", "low": 2, "high": 16, "step": 2},
}


def of(search: dict[str, Any], kind: str = "random", **sections: dict[str, Any]) -> StudyConfig:
    return config(search=search, sampler={"kind": kind, "startup_trials": 4}, stop={"trials": 9}, **sections)


def trained(running: study.Study, count: int) -> list[study.Lease]:
    leases = []
    for value in range(count):
        leases.append(lease(running))
        running.finish(leases[-1], ok(float(value)))
    return leases


def params(database: Database) -> dict[int, Params]:
    return {row.number: row.parameters for row in queries.study_trials(database, "small")}


def everything(database: Database) -> object:
    row = queries.study(database, "small")
    return row.config_hash, row.status, queries.recorded_trials(database, row.study_id)


@pytest.mark.parametrize("kind", ["gp_ei", "random", "tpe", "gp"])
def test_old_trials_are_points_of_the_changed_space(database: Database, kind: str) -> None:
    running = study.create_or_resume(of(NARROW, kind), database)
    trained(running, 4)
    running.release(begun := lease(running), interrupted=True)
    before = params(database)
    changed = study.create_or_resume(of(WIDE, kind), database)
    assert params(database) == {number: {"model.hidden_size": 4, **old} for number, old in before.items()}
    assert lease(changed).config == begun.config
    trained(changed, 4)
    trials = changed.optuna_study.trials
    space = distributions(changed.space)
    assert all(trial.distributions == {name: space[name] for name in trial.params} for trial in trials)
    assert all(row.keys() >= WIDE.keys() - {"model.nonlinearity"} for row in params(database).values())


def test_they_stay_in_the_surrogate(database: Database) -> None:
    trained(study.create_or_resume(of(NARROW, "gp_ei"), database), 5)
    far = dict.fromkeys(range(5), Estimate(mean=99.0, sem=1.0))
    store.set_posterior(database, queries.study(database, "small").study_id, far)
    changed = study.create_or_resume(of(WIDE, "gp_ei"), database)
    lease(changed)
    means = [row.posterior_mean for row in queries.study_trials(database, "small")]
    assert all(mean is not None and mean < 5 for mean in means[:5])


@pytest.mark.parametrize("kind", ["tpe", "gp"])
def test_optunas_samplers_search_all_of_the_changed_space_together(database: Database, kind: str) -> None:
    trained(study.create_or_resume(of({**RATE, **CELL}, kind), database), 5)
    search = {**RATE, "model.hidden_size": WIDE["model.hidden_size"], "model.cell": WIDE["model.cell"]}
    search["learner.inner_lr"] = WIDE["learner.inner_lr"]
    changed = study.create_or_resume(of(search, kind), database)
    trial = changed.optuna_study.trials[-1]
    assert changed.sampler.infer_relative_search_space(changed.optuna_study, trial).keys() == search.keys()


def test_a_field_that_conditions_look_at_becomes_a_dimension(database: Database) -> None:
    """What hung on it hangs on each trial's own value from now on."""
    when = {"model.cell": ["rnn"]}
    nonlinearity = {"model.nonlinearity": {"type": "categorical", "choices": ["relu", "tanh"], "when": when}}
    model = {"cell": "rnn", "hidden_size": 4}
    trained(study.create_or_resume(of({**RATE, **nonlinearity}, model=model), database), 3)
    before = params(database)
    study.create_or_resume(of({**RATE, **nonlinearity, "model.cell": WIDE["model.cell"]}, model=model), database)
    assert params(database) == {number: {"model.cell": "rnn", **old} for number, old in before.items()}
    assert all("model.nonlinearity" in old for old in before.values())


@pytest.mark.parametrize(
    ("added", "message"),
    [
        (
            {"model.hidden_size": {"type": "int", "low": 5, "high": 8}},
            "was 4 in 3 trials, .* found {type: int, low: 5, high: 8}",
        ),
        (
            {"model.cell": {"type": "categorical", "choices": ["rnn", "gru"]}},
            "was 'lstm' in 3 trials, .* choices: ..rnn., .gru..",
        ),
        ({"training.clip_norm": {"type": "float", "low": 1.0, "high": 9.0}}, "was 10.0 in 3 trials"),
    ],
)
def test_a_new_dimension_without_the_old_value_is_refused(
    database: Database, added: dict[str, Any], message: str
) -> None:
    trained(study.create_or_resume(of(RATE), database), 3)
    before = everything(database)
    with pytest.raises(StudyConflict, match=f"search.{next(iter(added))}: {message}"):
        study.create_or_resume(of({**RATE, **added}), database)
    assert everything(database) == before


def test_without_trials_any_new_dimension_will_do(database: Database) -> None:
    study.create_or_resume(of(RATE), database)
    changed = study.create_or_resume(of({**RATE, "model.hidden_size": {"type": "int", "low": 5, "high": 8}}), database)
    assert lease(changed).config.model.hidden_size >= 5


def test_a_trial_whose_worker_died_while_asking_is_completed_in_the_changed_space(database: Database) -> None:
    running = study.create_or_resume(of({**RATE, **CELL}), database)
    orphan = running.optuna_study.ask()
    orphan.suggest_categorical("model.cell", ["gru", "lstm"])
    changed = study.create_or_resume(of({**RATE, "model.cell": WIDE["model.cell"], **HIDDEN}), database)
    again = lease(changed)
    assert (again.number, again.config.model.cell) == (orphan.number, orphan.params["model.cell"])
    assert params(database)[0].keys() == {*RATE, *CELL, *HIDDEN}


HIDDEN = {"model.hidden_size": {"type": "int", "low": 5, "high": 8}}


def test_a_trial_that_another_program_has_put_outside_stays_there(database: Database) -> None:
    running = study.create_or_resume(of(RATE), database)
    elsewhere = optuna.distributions.FloatDistribution(0.0001, 0.9, log=True)
    running.optuna_study.add_trial(
        optuna.trial.create_trial(
            params={"learner.inner_lr": 0.9, "other": 1.0},
            distributions={"learner.inner_lr": elsewhere, "other": optuna.distributions.FloatDistribution(0, 1)},
            value=1.0,
        )
    )
    study.create_or_resume(of({**RATE, "learner.inner_lr": WIDE["learner.inner_lr"]}), database)
    assert params(database)[0] == {"learner.inner_lr": 0.9, "other": 1.0}


def test_a_dimension_less_is_refused(database: Database) -> None:
    assert CONFIG["model"]["cell"] == "lstm"
    trained(study.create_or_resume(of({**RATE, **CELL}), database), 1)
    with pytest.raises(StudyConflict, match=r"search.model.cell: was .* is now absent"):
        study.create_or_resume(of(RATE), database)
