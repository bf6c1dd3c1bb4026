"""The ask lock: workers of one study ask one after another, so that each sees what the others run.

Who holds it renews it from a thread of its own, so it is short: a worker that dies while it asks keeps the others
waiting for seconds, not for as long as the longest suggestion takes. One that only was stopped (SIGSTOP, a laptop's
lid) may wake up when another has the lock: every new trial is fenced with it (:func:`new_trial`).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from optuna.trial import FrozenTrial
from sqlalchemy import Update, func, or_, select, text, update
from sqlalchemy.exc import DBAPIError

from hpo.errors import LeaseLost, StorageError, StudyNotFound
from hpo.results.clock import epoch_now
from hpo.results.database import Database
from hpo.results.schema import hpo_study, trials

ASK_LOCK_S = 15.0  # without a sign of life, then the next one asks
TURN_S = 2.0  # in the queue, then one tries without
ADVISORY = 0x68706F  # "hpo": of all advisory locks of the database, those that are ours
_POLL_S = (0.02, 0.3)  # an ask takes some 0.1 s (start-up) to 2 s (a thousand trials)


@contextmanager
def asking(
    database: Database,
    study_id: int,
    worker_id: str,
    ttl_s: float = ASK_LOCK_S,
    give_up: Callable[[], bool] = lambda: False,
) -> Iterator[bool]:
    """Waits until nobody else asks this study, then keeps the others waiting; false where ``give_up()`` in between.

    The lock of a process that died inside expires after ``ttl_s`` seconds, or with :func:`release_worker`. A worker
    that lost the database inside gets its own lock back: it asks from one thread. Raises StudyNotFound.
    """
    with ExitStack() as turn:
        turn.enter_context(_turn(database, study_id))
        while not _acquire(database, study_id, worker_id, ttl_s):
            turn.close()
            if give_up():
                yield False
                return
            time.sleep(random.uniform(*_POLL_S))
            turn.enter_context(_turn(database, study_id))
        try:
            with _kept(database, study_id, worker_id, ttl_s):
                yield True
        finally:
            _release(database, study_id, worker_id)


def new_trial(database: Database, study_id: int, worker_id: str) -> FrozenTrial:
    """A new RUNNING trial, made only while ``worker_id`` has the ask lock. Raises LeaseLost."""
    with database.transaction() as connection:
        # A write: nobody takes the lock over before this transaction has ended.
        still_mine = _mine(study_id, worker_id).values(ask_owner=worker_id)
        if connection.execute(still_mine).rowcount == 0:
            raise LeaseLost(f"study_id {study_id}: another worker asks by now")
        return database.optuna_storage.within(connection).new_trial(study_id)


@contextmanager
def _turn(database: Database, study_id: int) -> Iterator[None]:
    """On PostgreSQL, workers queue for the lock at the server: 64 that try in turn take most of what it can do.

    It is a courtesy, not the lock: who waits for longer than TURN_S tries without, as one that was stopped in its turn
    would otherwise keep all others waiting.
    """
    if database.dialect == "sqlite":
        yield
        return
    with database.guard(), database.engine.connect() as connection:
        with suppress(DBAPIError):
            connection.execute(text(f"SET LOCAL lock_timeout = {round(1000 * TURN_S)}"))
            connection.execute(select(func.pg_advisory_xact_lock(ADVISORY, study_id)))
        yield
        with suppress(DBAPIError):
            connection.rollback()


@contextmanager
def _kept(database: Database, study_id: int, owner: str, ttl_s: float) -> Iterator[None]:
    """Renews the lock until the block ends; a database that is away is tried again, and may outlast the lock."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(ttl_s / 4):
            with suppress(StorageError), database.transaction() as connection:
                connection.execute(_mine(study_id, owner).values(ask_expires=epoch_now() + ttl_s))

    thread = threading.Thread(target=renew, name="ask-lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()  # a renewal after the release would lock the others out


def _acquire(database: Database, study_id: int, owner: str, ttl_s: float) -> bool:
    ask_owner = hpo_study.c.ask_owner
    free = or_(ask_owner.is_(None), ask_owner == owner, hpo_study.c.ask_expires <= epoch_now())
    newest_trial = select(func.coalesce(func.max(trials.c.trial_id), 0)).scalar_subquery()
    take = (
        update(hpo_study)
        .where(hpo_study.c.study_id == study_id, free)
        .values(ask_owner=owner, ask_expires=epoch_now() + ttl_s, ask_floor=newest_trial)
    )
    with database.transaction() as connection:
        if connection.execute(take).rowcount == 1:
            return True
        if connection.execute(select(hpo_study.c.study_id).where(hpo_study.c.study_id == study_id)).first() is None:
            raise StudyNotFound(f"{database.url_masked}: there is no study with study_id {study_id} (was it deleted?)")
    return False


def _release(database: Database, study_id: int, owner: str) -> None:
    with database.transaction() as connection:
        connection.execute(_mine(study_id, owner).values(ask_owner=None, ask_expires=None))


def _mine(study_id: int, owner: str) -> Update:
    return update(hpo_study).where(hpo_study.c.study_id == study_id, hpo_study.c.ask_owner == owner)
