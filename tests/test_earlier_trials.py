"""Trials from before: of a study whose search space changes, and of others, on a real database, without training."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from hpo import study
from hpo.config import StudyConfig
from hpo.errors import InputError, StudyConflict
from hpo.launch import create_or_resume
from hpo.records import Estimate, Outcome, TrialOutcome
from hpo.results import queries, store
from hpo.results.engine import Database
from hpo.sampler import distributions
from hpo.space import Params
from tests.end_to_end.support import CONFIG
from tests.studies import config, lease, ok

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
    running = create_or_resume(of(NARROW, kind), database)
    trained(running, 4)
    running.release(begun := lease(running), interrupted=True)
    before = params(database)
    changed = create_or_resume(of(WIDE, kind), database)
    assert params(database) == {number: {"model.hidden_size": 4, **old} for number, old in before.items()}
    assert lease(changed).config == begun.config
    trained(changed, 4)
    trials = changed.optuna_study.trials
    space = distributions(changed.space)
    assert all(trial.distributions == {name: space[name] for name in trial.params} for trial in trials)
    assert all(row.keys() >= WIDE.keys() - {"model.nonlinearity"} for row in params(database).values())


def test_they_stay_in_the_surrogate(database: Database) -> None:
    trained(create_or_resume(of(NARROW, "gp_ei"), database), 5)
    far = dict.fromkeys(range(5), Estimate(mean=99.0, sem=1.0))
    store.set_posterior(database, queries.study(database, "small").study_id, far)
    changed = create_or_resume(of(WIDE, "gp_ei"), database)
    lease(changed)
    means = [row.posterior_mean for row in queries.study_trials(database, "small")]
    assert all(mean is not None and mean < 5 for mean in means[:5])


@pytest.mark.parametrize("kind", ["tpe", "gp"])
def test_optunas_samplers_search_all_of_the_changed_space_together(database: Database, kind: str) -> None:
    trained(create_or_resume(of({**RATE, **CELL}, kind), database), 5)
    search = {**RATE, "model.hidden_size": WIDE["model.hidden_size"], "model.cell": WIDE["model.cell"]}
    search["learner.inner_lr"] = WIDE["learner.inner_lr"]
    changed = create_or_resume(of(search, kind), database)
    trial = changed.optuna_study.trials[-1]
    assert changed.sampler.infer_relative_search_space(changed.optuna_study, trial).keys() == search.keys()


def test_a_field_that_conditions_look_at_becomes_a_dimension(database: Database) -> None:
    """What hung on it hangs on each trial's own value from now on."""
    when = {"model.cell": ["rnn"]}
    nonlinearity = {"model.nonlinearity": {"type": "categorical", "choices": ["relu", "tanh"], "when": when}}
    model = {"cell": "rnn", "hidden_size": 4}
    trained(create_or_resume(of({**RATE, **nonlinearity}, model=model), database), 3)
    before = params(database)
    create_or_resume(of({**RATE, **nonlinearity, "model.cell": WIDE["model.cell"]}, model=model), database)
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
    trained(create_or_resume(of(RATE), database), 3)
    before = everything(database)
    with pytest.raises(StudyConflict, match=f"search.{next(iter(added))}: {message}"):
        create_or_resume(of({**RATE, **added}), database)
    assert everything(database) == before


def test_without_trials_any_new_dimension_will_do(database: Database) -> None:
    create_or_resume(of(RATE), database)
    changed = create_or_resume(of({**RATE, "model.hidden_size": {"type": "int", "low": 5, "high": 8}}), database)
    assert lease(changed).config.model.hidden_size >= 5


def test_a_trial_whose_worker_died_while_asking_is_completed_in_the_changed_space(database: Database) -> None:
    running = create_or_resume(of({**RATE, **CELL}), database)
    orphan = running.optuna_study.ask()
    orphan.suggest_categorical("model.cell", ["gru", "lstm"])
    changed = create_or_resume(of({**RATE, "model.cell": WIDE["model.cell"], **HIDDEN}), database)
    again = lease(changed)
    assert (again.number, again.config.model.cell) == (orphan.number, orphan.params["model.cell"])
    assert params(database)[0].keys() == {*RATE, *CELL, *HIDDEN}


HIDDEN = {"model.hidden_size": {"type": "int", "low": 5, "high": 8}}


def test_a_trial_that_another_program_has_put_outside_stays_there(database: Database) -> None:
    running = create_or_resume(of(RATE), database)
    elsewhere = optuna.distributions.FloatDistribution(0.0001, 0.9, log=True)
    running.optuna_study.add_trial(
        optuna.trial.create_trial(
            params={"learner.inner_lr": 0.9, "other": 1.0},
            distributions={"learner.inner_lr": elsewhere, "other": optuna.distributions.FloatDistribution(0, 1)},
            value=1.0,
        )
    )
    create_or_resume(of({**RATE, "learner.inner_lr": WIDE["learner.inner_lr"]}), database)
    assert params(database)[0] == {"learner.inner_lr": 0.9, "other": 1.0}


def test_a_dimension_less_is_refused(database: Database) -> None:
    assert CONFIG["model"]["cell"] == "lstm"
    trained(create_or_resume(of({**RATE, **CELL}), database), 1)
    with pytest.raises(StudyConflict, match=r"search.model.cell: was .* is now absent\n.*--warm-start small"):
        create_or_resume(of(RATE), database)


# Other studies


def source(database: Database, **sections: Any) -> study.Study:
    """The study "old": three good trials, one that diverged and one that was lost."""
    raw = {**of(NARROW).to_dict(), "name": "old", **sections}
    made = create_or_resume(StudyConfig.from_dict(raw), database)
    trained(made, 3)
    made.finish(lease(made), TrialOutcome(outcome=Outcome.DIVERGED, reason="nan"))
    made.finish(lease(made), TrialOutcome(outcome=Outcome.LOST, reason="its worker died"))
    return made


def test_its_trials_are_points_of_this_space(database: Database) -> None:
    """With what their configs say of a field that it did not search; a lost one says nothing."""
    source(database)
    running = create_or_resume(of(WIDE, "gp_ei"), database, ["old"])
    (found,) = running.sources
    old = {row.number: row.parameters for row in queries.study_trials(database, "old")}
    assert [(o.number, o.outcome, o.value) for o in found.observations] == [
        *((number, Outcome.OK, float(number)) for number in range(3)),
        (3, Outcome.DIVERGED, None),
    ]
    assert all(o.params == {"model.hidden_size": 4, **old[o.number]} for o in found.observations)
    assert (found.name, found.left_out) == ("old", {})
    assert lease(running).config.model.hidden_size == 4, "the first trial repeats its best"


def test_those_that_are_none_are_counted(database: Database) -> None:
    source(database)
    outside = {**WIDE, "model.hidden_size": {"type": "int", "low": 5, "high": 6}}
    (found,) = create_or_resume(of(outside, "gp_ei"), database, ["old"]).sources
    assert (found.observations, found.left_out) == ((), {"model.hidden_size": 4})


def test_what_was_to_be_maximized_is_minimized(database: Database) -> None:
    classes = {"tasks": {"kind": "language_id"}, "objective": {"metric": "query_accuracy", "direction": "maximize"}}
    source(database, **classes)
    (found,) = create_or_resume(of(WIDE, "gp_ei"), database, ["old"]).sources
    assert [o.value for o in found.observations] == [0.0, -1.0, -2.0, None]


def test_the_sources_are_remembered_and_added_to(database: Database) -> None:
    source(database)
    create_or_resume(StudyConfig.from_dict({**of(WIDE).to_dict(), "name": "older"}), database)

    def sources() -> tuple[str, ...]:
        return queries.study(database, "small").warm_start

    create_or_resume(of(WIDE, "gp_ei"), database, ["old"])
    version = queries.study(database, "small").version
    again = create_or_resume(of(WIDE, "gp_ei"), database)
    assert (sources(), len(again.sources)) == (("old",), 1)
    assert queries.study(database, "small").version == version
    create_or_resume(of(WIDE, "gp_ei"), database, ["older", "old"])
    assert sources() == ("old", "older")
    assert queries.study(database, "small").version != version, "workers are to look again"


def test_a_source_that_was_deleted_is_passed_over(database: Database) -> None:
    source(database)
    create_or_resume(of(WIDE, "gp_ei"), database, ["old"])
    optuna.delete_study(study_name="old", storage=database.optuna_storage)
    again = create_or_resume(of(WIDE, "gp_ei"), database)
    assert again.sources == []
    lease(again)


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("gp_ei", "odl", "did you mean 'old'"),
        ("gp_ei", "small", "expected the name of another one"),
        ("tpe", "old", "sampler.kind 'tpe', only gp_ei"),
    ],
)
def test_bad_sources_are_refused_before_anything_is_made(
    database: Database, kind: str, name: str, message: str
) -> None:
    source(database)
    with pytest.raises(InputError, match=message):
        create_or_resume(of(WIDE, kind), database, [name])
    assert queries.find_study(database, "small") is None
