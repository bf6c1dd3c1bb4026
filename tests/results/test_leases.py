"""The laws of a lease: at most one holder, tokens only grow, and who has lost it changes nothing."""

from __future__ import annotations

import functools
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import text

from hpo.errors import LeaseLost
from hpo.records import Estimate, Outcome, Report, TrialOutcome
from hpo.results import store
from hpo.results.engine import connect
from tests.results.conftest import CONFIG, Lab, ok, rung


def _writes(lab: Lab, trial_id: int, token: int) -> dict[str, Callable[[], None]]:
    """Everything that a lease's holder may do."""
    return {
        "renew": lambda: store.renew(lab.database, trial_id, token, 60.0),
        "release": lambda: store.release(lab.database, trial_id, token),
        "interrupt": lambda: store.release(lab.database, trial_id, token, interrupted=True),
        "report": lambda: store.report(lab.database, trial_id, token, rung()),
        "checkpoint": lambda: store.record_checkpoint(lab.database, trial_id, token, "file:///late"),
        "finish": lambda: store.finish(lab.database, trial_id, token, ok(0.1)),
    }


def _all_are_refused(lab: Lab, trial_id: int, token: int) -> None:
    before = lab.everything()
    for write in _writes(lab, trial_id, token).values():
        with pytest.raises(LeaseLost):
            write()
    assert lab.everything() == before


def test_a_lease_that_is_alive_is_not_taken_over(lab: Lab) -> None:
    trial_id, _ = lab.started()
    assert store.take_over(lab.database, trial_id, "other", 60.0) is None
    assert store.abandoned(lab.database, lab.study_id) == []
    with pytest.raises(LeaseLost):
        lab.begin(trial_id, "other")


def test_an_expired_lease_is_taken_over_once(lab: Lab) -> None:
    trial_id, token = lab.started()
    lab.expire(trial_id)
    assert store.abandoned(lab.database, lab.study_id) == [(trial_id, 0, 1, CONFIG, None)]
    taken = store.take_over(lab.database, trial_id, "other", 60.0, host="elsewhere", device="cuda:1")
    assert taken == (token + 1, 2)
    assert store.take_over(lab.database, trial_id, "third", 60.0) is None
    (row,) = lab.rows("SELECT host, device, attempts FROM hpo_trials")
    assert row == {"host": "elsewhere", "device": "cuda:1", "attempts": 2}


def test_a_late_worker_changes_nothing(lab: Lab) -> None:
    trial_id, token = lab.started()
    lab.expire(trial_id)
    taken = store.take_over(lab.database, trial_id, "other", 60.0)
    assert taken is not None
    _all_are_refused(lab, trial_id, token)
    store.finish(lab.database, trial_id, taken.token, ok(0.5))
    _all_are_refused(lab, trial_id, token)


def test_an_expired_lease_that_nobody_took_can_be_kept(lab: Lab) -> None:
    trial_id, token = lab.started()
    lab.expire(trial_id)
    store.renew(lab.database, trial_id, token, 60.0)
    assert store.take_over(lab.database, trial_id, "other", 60.0) is None


def test_a_trial_that_was_ended_from_outside_is_lost(lab: Lab) -> None:
    trial_id, token = lab.started()
    lab.optuna_study.tell(0, state=optuna.trial.TrialState.FAIL)
    _all_are_refused(lab, trial_id, token)
    lab.expire(trial_id)
    assert store.take_over(lab.database, trial_id, "other", 60.0) is None
    assert store.abandoned(lab.database, lab.study_id) == []


def test_a_deleted_study_is_lost(lab: Lab) -> None:
    trial_id, token = lab.started()
    optuna.delete_study(study_name="lab", storage=lab.database.optuna_storage)
    _all_are_refused(lab, trial_id, token)
    assert store.take_over(lab.database, trial_id, "other", 60.0) is None


def test_a_released_trial_counts_an_attempt_unless_it_was_interrupted(lab: Lab) -> None:
    trial_id, token = lab.started()
    store.release(lab.database, trial_id, token)
    taken = store.take_over(lab.database, trial_id, "other", 60.0)
    assert taken == (2, 2)
    store.release(lab.database, trial_id, 2, interrupted=True)
    assert store.take_over(lab.database, trial_id, "other", 60.0) == (3, 2)


def test_a_released_trial_waits_and_is_still_counted_as_begun(lab: Lab) -> None:
    trial_id, token = lab.started()
    lab.optuna_study.enqueue_trial({"lr": 0.5})
    store.release(lab.database, trial_id, token)
    counts = store.count_trials(lab.database, lab.study_id)
    assert (counts.let_go, counts.waiting, counts.running, counts.begun) == (1, 1, 0, 1)
    assert [row.trial_id for row in store.abandoned(lab.database, lab.study_id)] == [trial_id]
    _all_are_refused(lab, trial_id, token)


def test_a_released_trial_that_optunas_queue_gives_out_stays_abandoned(lab: Lab) -> None:
    trial_id, token = lab.started()
    store.release(lab.database, trial_id, token)
    assert lab.optuna_study.ask()._trial_id == trial_id
    with pytest.raises(LeaseLost):
        lab.begin(trial_id, "other")
    assert store.take_over(lab.database, trial_id, "other", 60.0) == (2, 2)


def test_all_of_a_dead_workers_trials_are_free_at_once(lab: Lab) -> None:
    first, second, others = lab.started("dead"), lab.started("dead"), lab.started("alive")
    store.release_worker(lab.database, "dead")
    assert [row.trial_id for row in store.abandoned(lab.database, lab.study_id)] == [first[0], second[0]]
    store.renew(lab.database, *others, 60.0)


def test_begin_may_be_repeated_after_a_lost_answer(lab: Lab) -> None:
    trial_id, token = lab.started()
    before = lab.everything()
    assert lab.begin(trial_id) == token
    assert lab.everything() == before


def test_a_trial_whose_worker_died_before_it_began(lab: Lab) -> None:
    trial_id = lab.ask()
    assert store.abandoned(lab.database, lab.study_id) == [(trial_id, 0, 0, None, None)]
    assert store.take_over(lab.database, trial_id, "other", 60.0) == (1, 1)
    with pytest.raises(LeaseLost):
        lab.begin(trial_id, "slow")


def test_a_trial_that_is_about_to_begin_is_not_abandoned(lab: Lab) -> None:
    dead = lab.ask()
    with store.asking(lab.database, lab.study_id, "worker", 60.0):
        fresh = lab.ask()
        assert [row.trial_id for row in store.abandoned(lab.database, lab.study_id)] == [dead]
        lab.begin(fresh)
    lab.expire(fresh)
    assert [row.trial_id for row in store.abandoned(lab.database, lab.study_id)] == [dead, fresh]


def test_many_workers_take_over_one_trial(lab: Lab) -> None:
    trial_id, _ = lab.started()
    lab.expire(trial_id)
    barrier, taken = threading.Barrier(4), []

    def take(worker: str) -> None:
        barrier.wait()
        taken.append(store.take_over(lab.database, trial_id, worker, 60.0))

    threads = [threading.Thread(target=take, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count(None) == 3
    assert (2, 2) in taken


@functools.cache
def _empty_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        connect(f"sqlite:///{folder}/hpo.db", create=True).close()
        return (Path(folder) / "hpo.db").read_bytes()


class Leases(RuleBasedStateMachine):
    """Workers begin, lose, take over, report and finish trials in any order; a model says who may."""

    held = Bundle("held")  # (trial_id, token): what some worker believes to hold

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hpo-leases-"))
        (self.folder / "hpo.db").write_bytes(_empty_database())
        self.database = connect(f"sqlite:///{self.folder / 'hpo.db'}")
        options = {"direction": "minimize", "metric": "query_loss", "config_hash": "h", "code_version": "0"}
        study_id = store.create_study(self.database, name="lab", config=CONFIG, **options)
        study = optuna.load_study(study_name="lab", storage=self.database.optuna_storage)
        self.lab = Lab(self.database, study_id, study)
        self.newest: dict[int, int] = {}  # trial_id -> the one token that is valid
        self.seen: dict[int, list[int]] = {}  # trial_id -> every token that was given out
        self.ended: dict[int, float] = {}  # trial_id -> its value
        self.let_go: set[int] = set()

    @rule(target=held)
    def begin(self) -> tuple[int, int]:
        trial_id, token = self.lab.started()
        self.newest[trial_id], self.seen[trial_id] = token, [token]
        return trial_id, token

    @rule(lease=held)
    def expires(self, lease: tuple[int, int]) -> None:
        self.lab.expire(lease[0])

    @rule(target=held, lease=held)
    def take_over(self, lease: tuple[int, int]) -> tuple[int, int]:
        trial_id = lease[0]
        expired = self.lab.rows("SELECT 1 FROM hpo_lease WHERE trial_id = :id AND expires = 0", id=trial_id)
        taken = store.take_over(self.database, trial_id, "other", 60.0)
        free = bool(expired) or trial_id in self.let_go
        assert (taken is not None) == (free and trial_id not in self.ended)
        if taken is None:
            return lease
        self.let_go.discard(trial_id)
        self.newest[trial_id] = taken.token
        self.seen[trial_id].append(taken.token)
        return trial_id, taken.token

    @rule(lease=held, mean=st.floats(0, 1))
    def report(self, lease: tuple[int, int], mean: float) -> None:
        told = Report(meta_iteration=50, objective=Estimate(mean=mean, sem=0.1), seconds=1.0)
        self._allowed(lease, lambda: store.report(self.database, *lease, told))

    @rule(lease=held)
    def renew(self, lease: tuple[int, int]) -> None:
        self._allowed(lease, lambda: store.renew(self.database, *lease, 60.0))

    @rule(lease=held, interrupted=st.booleans())
    def release(self, lease: tuple[int, int], interrupted: bool) -> None:
        if self._allowed(lease, lambda: store.release(self.database, *lease, interrupted=interrupted)):
            self.let_go.add(lease[0])

    @rule(lease=held, mean=st.floats(0, 1))
    def finish(self, lease: tuple[int, int], mean: float) -> None:
        repeated = lease[0] in self.ended and self.newest[lease[0]] == lease[1]
        if self._allowed(lease, lambda: store.finish(self.database, *lease, ok(mean)), repeated):
            self.ended.setdefault(lease[0], mean)

    def _allowed(self, lease: tuple[int, int], write: Callable[[], None], repeated: bool = False) -> bool:
        holds = self.newest[lease[0]] == lease[1] and lease[0] not in self.ended.keys() | self.let_go
        if holds or repeated:
            write()
            return True
        before = self.lab.everything()
        with pytest.raises(LeaseLost):
            write()
        assert self.lab.everything() == before
        return False

    @invariant()
    def tokens_only_grow(self) -> None:
        for tokens in getattr(self, "seen", {}).values():
            assert tokens == sorted(set(tokens))

    @invariant()
    def outcomes_are_written_once(self) -> None:
        if not hasattr(self, "lab"):
            return
        rows = self.lab.rows("SELECT trial_id, value, state FROM hpo_trials")
        assert {row["trial_id"]: row["value"] for row in rows if row["state"] == "COMPLETE"} == self.ended
        assert {row["trial_id"] for row in rows if row["state"] == "WAITING"} == self.let_go

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            shutil.rmtree(self.folder)


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=10, stateful_step_count=15, deadline=None)


def test_the_clock_is_the_databases(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)  # a worker whose clock is wrong by decades
    trial_id, token = lab.started()
    store.renew(lab.database, trial_id, token, 60.0)
    (row,) = lab.rows("SELECT l.expires - s.created AS ahead FROM hpo_lease AS l, hpo_study AS s")
    assert 59.0 < row["ahead"] < 120.0


def test_a_short_lease_runs_out_by_itself(lab: Lab) -> None:
    trial_id = lab.ask()
    lab.begin(trial_id, lease_s=0.0)
    with lab.database.transaction() as connection:
        assert connection.scalar(text("SELECT count(*) FROM hpo_lease")) == 1
    assert store.take_over(lab.database, trial_id, "other", 60.0) == (2, 2)


def test_lost_is_an_outcome_like_others(lab: Lab) -> None:
    trial_id, token = lab.started()
    store.finish(lab.database, trial_id, token, TrialOutcome(outcome=Outcome.LOST, reason="given up after 3 attempts"))
    assert lab.optuna_study.trials[0].state is optuna.trial.TrialState.FAIL
    assert store.abandoned(lab.database, lab.study_id) == []
