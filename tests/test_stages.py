"""From the search to the confirmation of its best configs, on a real database, without training."""

from __future__ import annotations

import random
from typing import Any

import optuna
import pytest

from hpo import study
from hpo.config import StudyConfig
from hpo.launch import create_or_resume
from hpo.records import Estimate, Outcome, Prospect, Report, TrialOutcome
from hpo.results import confirmations, queries, store
from hpo.results.engine import Database
from hpo.results.rows import TrialRow
from tests.end_to_end.support import CONFIG
from tests.studies import lease, ok

SEARCHED = (0.5, 0.2, 0.4, 0.3)  # objectives of trials 0 to 3: the best are 1, 3, 2


def config(**stop: int) -> StudyConfig:
    stop = {"trials": 4, "confirm": 2, "confirm_seeds": 2, **stop}
    execution = {**CONFIG["execution"], "lease_s": 600.0}  # nobody renews the leases of these tests
    return StudyConfig.from_dict({**CONFIG, "sampler": {"kind": "random"}, "stop": stop, "execution": execution})


def searched(database: Database, **stop: int) -> study.Study:
    """A study whose search is over and whose confirmation nobody has asked for yet."""
    running = create_or_resume(config(**stop), database)
    for value in SEARCHED:
        running.finish(lease(running), ok(value))
    return running


def repeats(database: Database) -> list[TrialRow]:
    return [row for row in queries.study_trials(database, "small") if row.confirms is not None]


def status(database: Database) -> str:
    return queries.study(database, "small").status


def test_the_best_are_trained_with_new_seeds(database: Database) -> None:
    running = searched(database)
    assert status(database) == "running"
    leases = [lease(running, worker) for worker in "abcd"]
    assert running.lease_trial("e", "host", "cpu") is None
    assert [(one.number, one.confirms, one.config.training.seed, one.fresh) for one in leases] == [
        (4, 1, 1, True),
        (5, 3, 1, True),
        (6, 1, 2, True),
        (7, 3, 2, True),
    ]
    rows = {row.number: row for row in queries.study_trials(database, "small")}
    for one in leases:
        assert one.confirms is not None
        again = {**one.config.to_dict(), "training": {**one.config.to_dict()["training"], "seed": 0}}
        assert again == running.config.trial_config(rows[one.confirms].parameters).to_dict()
        assert rows[one.number].parameters == rows[one.confirms].parameters
        assert (rows[one.number].seed, rows[one.number].attempts) == (one.config.training.seed, 1)
        assert rows[one.number].started_at is not None
    for one, value in zip(leases, (0.31, 0.25, 0.33, 0.27), strict=True):
        assert status(database) == "running"
        running.finish(one, ok(value))
    assert status(database) == "done"
    best, second, third, _ = queries.best(database, "small", 9)
    assert [(row.number, row.confirmed_seeds, row.confirmed_failed) for row in (best, second, third)] == [
        (3, 2, 0),
        (1, 2, 0),
        (2, None, None),
    ]
    assert best.confirmed_mean == pytest.approx(0.26)
    assert best.confirmed_sem == pytest.approx(0.01)
    assert best.value == 0.3  # its first training's, which chose it


def test_new_seeds_are_judged_after_the_steps_that_the_search_chose(database: Database) -> None:
    """To choose again on the same tasks would be a little too good again."""
    chosen = {**config().to_dict(), "objective": {"metric": "query_loss", "inner_steps": "best"}}
    running = create_or_resume(StudyConfig.from_dict(chosen), database)
    for steps, value in enumerate(SEARCHED, 1):
        running.finish(lease(running), ok(value).model_copy(update={"inner_steps": steps}))
    repeated = [lease(running) for _ in range(4)]
    assert [(one.confirms, one.config.objective.inner_steps) for one in repeated] == [(1, 2), (3, 4)] * 2
    attributes = running.optuna_study.get_trials()[3].user_attrs
    assert attributes["objective_inner_steps"] == 4


def test_who_violates_a_constraint_is_no_candidate(database: Database) -> None:
    raw = {**config(confirm=3).to_dict(), "constraints": {"seconds": 20.0}}
    running = create_or_resume(StudyConfig.from_dict(raw), database)
    for value, seconds in zip(SEARCHED, (10.0, 30.0, 10.0, 30.0), strict=True):
        running.finish(lease(running), ok(value).model_copy(update={"seconds": seconds}))
    lease(running)
    assert queries.study(database, "small").candidates == [2, 0]


def test_nothing_is_confirmed_where_all_violate_constraints(database: Database) -> None:
    raw = {**config().to_dict(), "constraints": {"seconds": 1.0}}
    running = create_or_resume(StudyConfig.from_dict(raw), database)
    for value in SEARCHED:
        running.finish(lease(running), ok(value).model_copy(update={"seconds": 2.0}))
    assert running.lease_trial("a", "host", "cpu") is None
    assert status(database) == "done"


def test_optuna_sees_them_as_trials_of_their_own(database: Database) -> None:
    running = searched(database)
    leased = lease(running)
    running.finish(leased, ok(0.3))
    trials = running.optuna_study.get_trials()
    assert len(trials) == 8
    assert trials[4].params == trials[1].params
    assert trials[4].distributions == trials[1].distributions
    assert (trials[4].user_attrs["confirms"], trials[4].user_attrs["seed"]) == (1, 1)
    assert [trial.state.name for trial in trials[4:]] == ["COMPLETE", "WAITING", "WAITING", "WAITING"]


def test_they_count_towards_nothing_of_the_search(database: Database) -> None:
    running = searched(database)
    for value in (0.1, 0.1, 0.1):
        running.finish(lease(running), ok(value))
    lease(running)
    counts, confirming = queries.progress(database, "small").counts, queries.progress(database, "small").confirmations
    assert (counts.begun, counts.ended, counts.complete, counts.running) == (4, 4, 4, 0)
    assert (confirming.begun, confirming.ended, confirming.running) == (4, 3, 1)
    assert queries.progress(database, "small").outcomes == {"ok": 4}
    (summary,) = queries.summaries(database)
    assert (summary.trials, summary.complete, summary.confirmations) == (4, 4, 4)
    assert [row.number for row in queries.best(database, "small", 9)] == [1, 3, 2, 0]  # not complete: nothing changes


def test_one_that_was_let_go_or_abandoned_is_continued(database: Database) -> None:
    running = searched(database, confirm=1)
    first, second = lease(running), lease(running, "b")
    running.release(first, interrupted=True)
    store.release_worker(database, "b")  # as after kill -9
    again = [lease(running, "c"), lease(running, "d")]
    assert [(one.number, one.attempts, one.fresh, one.confirms) for one in again] == [
        (4, 1, False, 1),
        (5, 2, False, 1),
    ]
    assert [one.config for one in again] == [first.config, second.config]
    for one in again:
        running.finish(one, ok(0.3))
    assert status(database) == "done"
    assert len(repeats(database)) == 2


def test_a_worker_that_dies_before_it_has_planned_leaves_nothing_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = searched(database)

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("hpo.results.store.confirming.insert", dies)  # in the middle of the transaction
        with pytest.raises(KeyboardInterrupt):
            running.lease_trial("a", "host", "cpu")
    assert queries.study(database, "small").candidates is None
    assert repeats(database) == []
    assert lease(running, "b").number == 4
    assert len(repeats(database)) == 4


def test_several_are_leased_at_once(database: Database) -> None:
    running = searched(database)
    assert [one.number for one in running.lease_trials(3, "a", "host", "cpu")] == [4, 5, 6]
    assert [one.number for one in running.lease_trials(3, "b", "host", "cpu")] == [7]


def test_a_failure_ends_as_such_and_is_behind_the_others(database: Database) -> None:
    running = searched(database)
    diverged = TrialOutcome(outcome=Outcome.DIVERGED, reason="the loss is nan")
    for outcome in (diverged, ok(0.9), ok(0.1), ok(0.8)):
        running.finish(lease(running), outcome)
    assert status(database) == "done"
    best, second, third = queries.best(database, "small", 3)
    assert [row.number for row in (best, second, third)] == [3, 1, 2]
    assert (second.confirmed_mean, second.confirmed_sem) == (0.1, None)
    assert (second.confirmed_seeds, second.confirmed_failed) == (1, 1)
    assert queries.trial(database, "small", 4).trial.outcome == "diverged"


def test_only_trials_that_were_trained_to_their_end_are_candidates(database: Database) -> None:
    running = create_or_resume(config(trials=3, confirm=3, confirm_seeds=1), database)
    outcomes = (
        TrialOutcome(outcome=Outcome.PRUNED, objective=Estimate(mean=0.0, sem=0.1)),
        ok(0.5),
        TrialOutcome(outcome=Outcome.ERROR, reason="a bug"),
    )
    for outcome in outcomes:
        running.finish(lease(running), outcome)
    assert lease(running).confirms == 1
    assert running.lease_trial("b", "host", "cpu") is None
    assert queries.study(database, "small").candidates == [1]


def test_near_repetitions_are_one_candidate(database: Database) -> None:
    running = create_or_resume(config(trials=3, confirm=2, confirm_seeds=1), database)
    fixed = {"model.cell": "gru", "model.hidden_size": 4}
    for rate, value in ((0.1, 0.2), (0.101, 0.1), (0.2, 0.3)):
        running.optuna_study.enqueue_trial({**fixed, "learner.inner_lr": rate})
        running.finish(lease(running), ok(value))
    lease(running)
    assert queries.study(database, "small").candidates == [1, 2]


def test_a_study_without_any_is_done(database: Database) -> None:
    running = create_or_resume(config(trials=1), database)
    running.finish(lease(running), TrialOutcome(outcome=Outcome.ERROR, reason="a bug"))
    assert running.lease_trial("a", "host", "cpu") is None
    assert status(database) == "done"


def test_they_are_never_pruned_and_compete_with_nobody(database: Database) -> None:
    pruner = {"kind": "asha", "min_iterations": 2, "reduction_factor": 2}
    raw = {**config(trials=2, confirm=1, confirm_seeds=1).to_dict(), "pruner": pruner}
    running = create_or_resume(StudyConfig.from_dict(raw), database)
    report = Report(meta_iteration=2, objective=Estimate(mean=0.5, sem=0.1), seconds=1.0)
    for value in (0.5, 0.6):
        leased = lease(running)
        running.report(leased, report)
        running.finish(leased, ok(value))
    leased = lease(running)
    bad = report.model_copy(update={"objective": Estimate(mean=9.0, sem=0.1)})
    assert running.report(leased, bad) is False
    frozen = running.optuna_study.get_trials()[2]
    assert frozen.intermediate_values == {2: 9.0}
    assert frozen.system_attrs == {}


def test_a_done_study_goes_on_where_it_is_asked_to_confirm(database: Database) -> None:
    searched(database, confirm=0)
    assert status(database) == "done"
    longer = create_or_resume(config(), database)
    assert status(database) == "running"
    for value in (0.3, 0.2, 0.3, 0.2):
        longer.finish(lease(longer), ok(value))
    assert status(database) == "done"
    assert create_or_resume(config(), database).is_done()
    assert status(database) == "done"
    seeds = create_or_resume(config(confirm_seeds=3), database)
    assert [(one.confirms, one.config.training.seed) for one in several(seeds)] == [(1, 3), (3, 3)]


def several(running: study.Study) -> list[study.Lease]:
    return running.lease_trials(9, "a", "host", "cpu")


def test_a_longer_search_chooses_again(database: Database) -> None:
    running = searched(database)
    for value in (0.3, 0.2, 0.3, 0.2):
        running.finish(lease(running), ok(value))
    longer = create_or_resume(config(trials=5), database)
    leased = lease(longer)
    assert (leased.number, leased.confirms) == (8, None)
    longer.finish(leased, ok(0.1))
    assert [(one.number, one.confirms) for one in several(longer)] == [(9, 8), (10, 8)]
    assert queries.study(database, "small").candidates == [8, 1]


def test_a_longer_search_leaves_what_was_planned_to_be_trained(database: Database) -> None:
    first = lease(searched(database))
    longer = create_or_resume(config(trials=6), database)
    leases = several(longer)
    assert [(one.number, one.confirms) for one in leases] == [(5, 3), (6, 1), (7, 3), (8, None), (9, None)]
    for one in (first, *leases):
        longer.finish(one, ok(0.6))
    assert status(database) == "running"  # other candidates are to be chosen
    assert longer.lease_trial("a", "host", "cpu") is None
    assert status(database) == "done"
    assert queries.study(database, "small").candidates == [1, 3]


def test_a_trial_that_optunas_queue_gives_out_is_not_trained_as_one_of_the_search(database: Database) -> None:
    running = searched(database, confirm=1, confirm_seeds=1)
    store.plan_confirmation(
        database, running.study_id, [1], [store.Repeat(1, 1, queries.trial(database, "small", 1).config or {})]
    )
    popped = running.optuna_study.ask()
    assert popped.number == 4
    again = lease(running)
    assert (again.number, again.confirms) == (4, 1)


def test_changes_of_how_it_is_carried_out_choose_nothing_anew(database: Database) -> None:
    running = searched(database)
    lease(running)
    raw = {**config().to_dict(), "execution": {**config().to_dict()["execution"], "max_attempts": 5}}
    create_or_resume(StudyConfig.from_dict(raw), database)
    assert queries.study(database, "small").candidates == [1, 3]


def test_the_sampler_is_told_them_as_repeated_observations(database: Database) -> None:
    raw = {**config(trials=6).to_dict(), "sampler": {"kind": "gp_ei", "startup_trials": 3}}
    running = create_or_resume(StudyConfig.from_dict(raw), database)
    for value in (*SEARCHED, 0.6, 0.7):
        running.finish(lease(running), ok(value))
    leases = several(running)
    before = {row.number: row for row in queries.study_trials(database, "small")}
    chosen = queries.study(database, "small").candidates
    assert chosen == sorted(range(6), key=lambda number: before[number].posterior_mean or 0.0)[:2]
    for one in leases:
        running.finish(one, ok(1.0))
    after = {row.number: row for row in queries.study_trials(database, "small")}
    for number in chosen:
        assert (after[number].posterior_mean or 0.0) > (before[number].posterior_mean or 0.0) + 0.05
    assert status(database) == "done"


def settling(database: Database, monkeypatch: pytest.MonkeyPatch, gain: float = 0.01, **stop: Any) -> study.Study:
    """Every suggestion promises ``gain``, beside a noise of 1."""
    sampler = optuna.samplers.RandomSampler(seed=0)
    sampler.prospect = Prospect(gain=gain, noise=1.0)  # type: ignore[attr-defined]
    monkeypatch.setattr(study, "make_sampler", lambda *_: sampler)
    raw = {**config().to_dict(), "sampler": {"kind": "gp_ei"}}
    stop = {"trials": 20, "when_settled": True, "confirm": 1, "confirm_seeds": 1, **stop}
    return create_or_resume(StudyConfig.from_dict({**raw, "stop": stop}), database)


def test_a_settled_search_ends_early_and_says_why(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    running = settling(database, monkeypatch)
    leases = several(running)
    assert len(leases) == 9  # nobody has promised anything before
    assert running.lease_trial("b", "host", "cpu") is None
    reason = queries.study(database, "small").stop_reason
    assert reason == (
        "after 9 of 20 trials: the expected gain of 11 more, at most 0.11, is below what the noise lets one see, 1"
    )
    for one in leases[:-1]:
        running.finish(one, ok(one.number))
    assert running.lease_trial("b", "host", "cpu") is None  # one of them still runs
    assert queries.study(database, "small").candidates is None
    running.finish(leases[-1], ok(0.5))
    confirming = lease(running)
    assert confirming.confirms == 0
    running.finish(confirming, ok(0.1))
    assert status(database) == "done"
    (summary,) = queries.summaries(database)
    assert (summary.trials, summary.stop_reason) == (9, reason)
    assert settling(database, monkeypatch).is_done()


def test_a_promising_search_goes_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    running = settling(database, monkeypatch, gain=2.0)
    for _ in range(4):
        several(running)
    assert queries.count_trials(database, running.study_id).begun == 20
    assert queries.study(database, "small").stop_reason is None


def test_another_stop_rule_takes_a_settled_search_up_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    running = settling(database, monkeypatch)
    for one in several(running):
        running.finish(one, ok(one.number))
    assert running.lease_trial("b", "host", "cpu") is not None  # the confirmation
    longer = settling(database, monkeypatch, trials=30)
    assert status(database) == "running"
    assert [one.number for one in longer.lease_trials(5, "a", "host", "cpu")] == [10, 11, 12, 13, 14]
    assert longer.lease_trial("b", "host", "cpu") is None
    assert (queries.study(database, "small").stop_reason or "").startswith("after 14 of 30 trials")


def test_a_search_ends_when_its_hours_are_used_up(database: Database) -> None:
    """Those of the trials that run count too, by what they have reported."""
    limited = create_or_resume(config(trials=20, hours=2, confirm=1, confirm_seeds=1), database)
    limited.finish(lease(limited), ok(0.5).model_copy(update={"seconds": 3600.0}))
    running = lease(limited)
    limited.report(running, Report(meta_iteration=2, objective=Estimate(mean=0.5, sem=0.1), seconds=1800.0))
    also_running = lease(limited)
    limited.report(also_running, Report(meta_iteration=2, objective=Estimate(mean=0.5, sem=0.1), seconds=1900.0))
    assert several(limited) == []
    reason = "after 3 of 20 trials: trained for 2.03 hours, of 2"
    assert queries.study(database, "small").stop_reason == reason
    for one in (running, also_running):
        limited.finish(one, ok(0.6).model_copy(update={"seconds": 3600.0}))
    confirming = lease(limited)
    assert confirming.confirms == 0
    limited.finish(confirming, ok(0.5))
    assert status(database) == "done"
    assert queries.trained_seconds(database, limited.study_id) == 10800.0  # what confirms is not counted
    longer = create_or_resume(config(trials=20, hours=4, confirm=1, confirm_seeds=1), database)
    assert lease(longer).confirms is None


def test_nothing_is_left_to_gain_on_a_plain_of_noise(database: Database) -> None:
    raw = {**config(trials=40, confirm=0).to_dict(), "sampler": {"kind": "gp_ei", "startup_trials": 4}}
    raw["stop"]["when_settled"] = True
    running = create_or_resume(StudyConfig.from_dict(raw), database)
    rng = random.Random(0)
    while (leased := running.lease_trial("a", "host", "cpu")) is not None:
        running.finish(leased, ok(1.0 + rng.gauss(0.0, 0.1)))
    assert status(database) == "done"
    assert 9 <= queries.count_trials(database, running.study_id).ended < 40
    assert "is below what the noise lets one see" in (queries.study(database, "small").stop_reason or "")


def test_the_view_ranks_as_the_paired_comparison_does(database: Database) -> None:
    running = searched(database, confirm=4, confirm_seeds=2)
    for leased, value in zip(several(running), (0.3, 0.1, 0.2, 0.25, 0.1, 0.4, 0.6, 0.05), strict=True):
        running.finish(leased, ok(value))
    found = confirmations.confirmed(database, queries.study(database, "small"))
    rows = queries.best(database, "small", 9)
    assert [one.number for one in found] == [row.number for row in rows]
    assert [one.estimate and one.estimate.mean for one in found] == [row.confirmed_mean for row in rows]
    assert [one.estimate and one.estimate.sem for one in found] == [row.confirmed_sem for row in rows]
