"""A study's life on a real database, without training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from hpo import study
from hpo.config import StudyConfig
from hpo.errors import LeaseLost, StudyConflict
from hpo.launch import create_or_resume
from hpo.records import Estimate, Outcome, Report, TrialOutcome
from hpo.results import queries
from hpo.results.engine import Database
from hpo.sampler.domain import Domain
from hpo.sampler.history import history
from tests.end_to_end.support import CONFIG
from tests.studies import config, lease, ok


def test_exactly_as_many_trials_as_asked_for(database: Database) -> None:
    running = create_or_resume(config(stop={"trials": 3}), database)
    leases = [lease(running) for _ in range(3)]
    assert running.lease_trial("b", "host", "cpu") is None
    for number, leased in enumerate(leases):
        assert leased.number == number
        running.finish(leased, ok(float(number)))
    assert queries.study(database, "small").status == "done"
    assert queries.best(database, "small")[0].number == 0


def test_a_trial_that_was_let_go_is_not_running_and_comes_back_under_its_number(database: Database) -> None:
    running = create_or_resume(config(stop={"trials": 1}), database)
    first = lease(running)
    running.release(first, interrupted=True)
    counts = queries.count_trials(database, running.study_id)
    assert (counts.running, counts.let_go, counts.begun) == (0, 1, 1)
    again = lease(running, "b")
    assert (again.number, again.config, again.attempts) == (first.number, first.config, 1)
    with pytest.raises(LeaseLost):
        running.finish(first, ok(0.0))
    running.finish(again, ok(1.0))
    assert [row.value for row in queries.study_trials(database, "small")] == [1.0]


def test_its_checkpoint_is_kept_and_a_stale_one_is_not(database: Database, tmp_path: Path) -> None:
    running = create_or_resume(config(), database)
    folder = running.folder(tmp_path)
    stale = folder / "trial-1" / "checkpoint.safetensors"  # of a database of the same name that was deleted
    stale.parent.mkdir(parents=True)
    stale.write_text("old")
    first = lease(running)
    running.spec(first, "cpu", 1, folder)
    assert not stale.exists()
    stale.write_text("mine")
    running.release(first, interrupted=True)
    running.spec(lease(running), "cpu", 1, folder)
    assert stale.read_text() == "mine"


def test_after_the_last_attempt_it_is_lost_and_the_next_one_begins(database: Database) -> None:
    running = create_or_resume(config(execution={"max_attempts": 2, "lease_s": 60.0}), database)
    for attempt in (1, 2):
        leased = lease(running)
        assert (leased.number, leased.attempts) == (0, attempt)
        running.release(leased, interrupted=False)
    assert lease(running).number == 1
    lost = queries.trial(database, "small", 0).trial
    assert (lost.outcome, lost.reason) == ("lost", "given up after 2 attempts: each time the worker died")


def several(running: study.Study, most: int, worker: str = "a") -> list[study.Lease]:
    return running.lease_trials(most, worker, "host", "cpu")


def test_never_more_are_leased_than_remain(database: Database) -> None:
    running = create_or_resume(config(stop={"trials": 6}), database)
    first, second = several(running, 4), several(running, 4, "b")
    assert [leased.number for leased in first + second] == [0, 1, 2, 3, 4, 5]
    assert several(running, 4, "c") == []
    for leased in first[:2]:
        running.finish(leased, ok(1.0))
    assert several(running, 4, "c") == []
    for leased in first[2:] + second:
        running.finish(leased, ok(1.0))
    assert queries.study(database, "small").status == "done"


def test_those_that_were_let_go_come_first(database: Database) -> None:
    running = create_or_resume(config(stop={"trials": 5}), database)
    leases = several(running, 3)
    for leased in (leases[0], leases[2]):
        running.release(leased, interrupted=False)
    again = several(running, 3, "b")
    assert [(leased.number, leased.attempts, leased.fresh) for leased in again] == [
        (0, 2, False),
        (2, 2, False),
        (3, 1, True),
    ]
    assert [leased.config for leased in again[:2]] == [leases[0].config, leases[2].config]


def test_the_last_attempt_is_made_alone(database: Database) -> None:
    """One that takes its runner down does so to the others twice, not three times."""
    running = create_or_resume(config(stop={"trials": 4}), database)
    for attempt in (1, 2):
        leases = several(running, 3)
        assert [(leased.number, leased.attempts) for leased in leases] == [(0, attempt), (1, attempt), (2, attempt)]
        for leased in leases:
            running.release(leased, interrupted=False)
    assert [[leased.number for leased in several(running, 3)] for _ in range(4)] == [[0], [1], [2], [3]]


def test_several_suggestions_come_from_one_fit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from hpo.sampler import optuna_sampler

    sampler = {"kind": "gp_ei", "startup_trials": 3}
    running = create_or_resume(config(sampler=sampler, stop={"trials": 20}), database)
    for leased in several(running, 4):
        running.finish(leased, ok(float(leased.number)))
    alone = lease(running)
    fits: list[int] = []
    suggest = optuna_sampler.suggest

    def spy(*arguments: Any, **more: Any) -> Any:
        fits.append(arguments[3])
        return suggest(*arguments, **more)

    monkeypatch.setattr(optuna_sampler, "suggest", spy)
    leases = several(running, 4)
    assert fits == [4]
    assert len({str(leased.config) for leased in [alone, *leases]}) == 5
    recorded = {row.number: row.parameters for row in queries.study_trials(database, "small")}
    for leased in leases:
        assert leased.config == running.config.trial_config(recorded[leased.number])


def test_a_trial_whose_worker_died_while_asking_is_completed(database: Database) -> None:
    running = create_or_resume(config(stop={"trials": 1}), database)
    orphan = running.optuna_study.ask()
    orphan.suggest_float("learner.inner_lr", 0.001, 0.5, log=True)
    leased = lease(running)
    assert leased.number == orphan.number
    assert leased.config.learner.inner_lr == orphan.params["learner.inner_lr"]  # type: ignore[attr-defined]


def test_the_pruner_ends_the_worse_of_two(database: Database) -> None:
    pruner = {"kind": "asha", "min_iterations": 2, "reduction_factor": 2}
    running = create_or_resume(config(pruner=pruner), database)
    better, worse = lease(running), lease(running)

    def report(value: float, meta_iteration: int) -> Report:
        return Report(meta_iteration=meta_iteration, objective=Estimate(mean=value, sem=0.1), seconds=1.0)

    assert running.report(better, report(1.0, 2)) is False
    assert running.report(worse, report(2.0, 2)) is True
    assert running.report(worse, report(2.0, 6)) is False  # it has been trained to its end


def test_another_config_is_refused_and_changes_nothing(database: Database) -> None:
    create_or_resume(config(), database)
    with pytest.raises(StudyConflict, match=r"model.hidden_size: was 4, is now 5"):
        create_or_resume(config(model={"cell": "lstm", "hidden_size": 5}), database)
    assert queries.study(database, "small").config_hash == config().hash


def test_more_trials_and_new_choices_are_taken_by_a_running_study(database: Database) -> None:
    running = create_or_resume(config(stop={"trials": 1}), database)
    running.finish(lease(running), ok(1.0))
    assert queries.study(database, "small").status == "done"
    search = {**CONFIG["search"], "model.cell": {"type": "categorical", "choices": ["lstm", "gru", "rnn"]}}
    longer = create_or_resume(config(stop={"trials": 30}, search=search), database)
    assert queries.study(database, "small").status == "running"
    for value in range(29):
        longer.finish(lease(longer), ok(float(value)))
    assert queries.study(database, "small").status == "done"


def test_the_posterior_is_recorded(database: Database) -> None:
    running = create_or_resume(config(sampler={"kind": "gp_ei", "startup_trials": 2}, stop={"trials": 4}), database)
    for value in (3.0, 1.0, 2.0, 1.5):
        running.finish(lease(running), ok(value))
    rows = queries.study_trials(database, "small")
    assert all(row.posterior_mean is not None and row.posterior_sd is not None for row in rows)


def test_who_violates_a_constraint_ranks_last_and_optuna_knows(database: Database) -> None:
    running = create_or_resume(config(constraints={"seconds": 20.0}, stop={"trials": 4}), database)
    for value, seconds in ((1.0, 40.0), (2.0, 10.0), (0.5, 30.0), (1.5, 20.0)):
        running.finish(lease(running), ok(value).model_copy(update={"seconds": seconds}))
    rows = queries.best(database, "small", 9)
    assert [row.number for row in rows] == [3, 1, 2, 0]
    assert [row.violated for row in rows] == [None, None, "seconds at most 20: 30", "seconds at most 20: 40"]
    found = queries.luckiest(database, queries.study(database, "small"))
    assert found is not None
    assert found.number == 3
    assert running.optuna_study.best_trial.number == 3
    trials = running.optuna_study.get_trials()
    excess = [list(trial.constraints.values()) for trial in trials]
    assert excess == [trial.system_attrs["constraints"] for trial in trials]  # where optuna-dashboard 0.21 looks
    assert excess == [[pytest.approx(math.log(ratio))] for ratio in (2.0, 0.5, 1.5, 1.0)]


@pytest.mark.parametrize("kind", ["gp", "tpe"])
def test_optunas_samplers_take_the_constraints_too(database: Database, kind: str) -> None:
    running = create_or_resume(
        config(constraints={"seconds": 20.0}, sampler={"kind": kind, "startup_trials": 2}, stop={"trials": 4}), database
    )
    for seconds in (40.0, 10.0, 30.0, 20.0):
        running.finish(lease(running), ok(seconds).model_copy(update={"seconds": seconds}))
    assert running.optuna_study.best_trial.number == 1


@pytest.mark.parametrize(("bound", "is_pruned"), [(20.0, False), (60.0, True)])
def test_nobody_is_pruned_for_being_worse_than_who_violates_a_constraint(
    database: Database, bound: float, is_pruned: bool
) -> None:
    pruner = {"kind": "asha", "min_iterations": 2, "reduction_factor": 2}
    running = create_or_resume(config(pruner=pruner, constraints={"seconds": bound}), database)

    def report(value: float) -> Report:
        return Report(meta_iteration=2, objective=Estimate(mean=value, sem=0.1), seconds=1.0)

    slow = lease(running)
    assert running.report(slow, report(1.0)) is False
    running.finish(slow, ok(1.0).model_copy(update={"seconds": 40.0}))
    assert running.report(lease(running), report(2.0)) is is_pruned


def test_other_constraints_are_refused(database: Database) -> None:
    create_or_resume(config(constraints={"seconds": 20.0}), database)
    with pytest.raises(StudyConflict, match=r"constraints.seconds: was 20.0, is now 30.0"):
        create_or_resume(config(constraints={"seconds": 30.0}), database)


def test_what_the_objective_is_traded_against_is_told_to_the_sampler(database: Database) -> None:
    against = ["meta_parameters", "seconds"]
    running = create_or_resume(
        config(
            objective={"against": against},
            sampler={"kind": "gp_ei", "startup_trials": 2},
            pruner={"kind": "none"},
            stop={"trials": 5},
        ),
        database,
    )
    for seconds in (40.0, 10.0, 30.0):
        measured = {"seconds": seconds, "meta_parameters": 100}
        running.finish(lease(running), ok(seconds).model_copy(update=measured))
    running.finish(lease(running), TrialOutcome(outcome=Outcome.DIVERGED, reason="NaN", seconds=5.0))
    seen = history(running.optuna_study, Domain.of(running.space)).observations
    logarithms = [(pytest.approx(math.log(100)), pytest.approx(math.log(seconds))) for seconds in (40, 10, 30)]
    assert [observation.against for observation in seen] == [*logarithms, ()]
    assert running.optuna_study.best_trial.number == 1  # it stays a study of one objective
    with pytest.raises(StudyConflict, match=r"objective.against: was .*'seconds'.*, is now \[\]"):
        create_or_resume(config(), database)


def test_a_password_in_the_config_does_not_reach_the_database(database: Database) -> None:
    secret = StudyConfig.from_dict({**config().to_dict(), "storage": "postgresql://me:secret@db/hpo"})
    create_or_resume(secret, database)
    assert "secret" not in str(queries.study(database, "small").config)
