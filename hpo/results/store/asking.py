"""The ask lock: workers of one study ask one after another, so that each sees what the others run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import func, or_, select, update

from hpo.errors import StudyNotFound
from hpo.results.clock import epoch_now
from hpo.results.database import Database
from hpo.results.schema import hpo_study, trials

_POLL_S = (0.02, 0.3)  # an ask takes some 0.1 s (start-up) to 2 s (a thousand trials)


@contextmanager
def asking(
    database: Database,
    study_id: int,
    worker_id: str,
    ttl_s: float,
    give_up: Callable[[], bool] = lambda: False,
) -> Iterator[bool]:
    """Waits until nobody else asks this study, then keeps the others waiting; false where ``give_up()`` in between.

    The lock of a process that died inside expires after ``ttl_s`` seconds, or with :func:`release_worker`. A worker
    that lost the database inside gets its own lock back: it asks from one thread. Raises StudyNotFound.
    """
    while not (acquired := _acquire(database, study_id, worker_id, ttl_s)) and not give_up():
        time.sleep(random.uniform(*_POLL_S))
    try:
        yield acquired
    finally:
        if acquired:
            _release(database, study_id, worker_id)


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
    mine = (hpo_study.c.study_id == study_id, hpo_study.c.ask_owner == owner)
    with database.transaction() as connection:
        connection.execute(update(hpo_study).where(*mine).values(ask_owner=None, ask_expires=None))
