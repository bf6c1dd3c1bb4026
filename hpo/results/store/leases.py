"""Leases: who alone may train and write a trial.

A lease that is not renewed expires and may be taken over. Its fencing token then grows, and whoever holds an older one
can no longer write: every write first takes the lease's row under its own token, in one transaction (:func:`fenced`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import TrialState
from sqlalchemy import ColumnElement, Connection, Update, and_, exists, func, literal, or_, select, update

from hpo.errors import LeaseLost
from hpo.records import Prospect
from hpo.results.clock import epoch_now
from hpo.results.database import Database
from hpo.results.rows import Abandoned, Taken
from hpo.results.schema import hpo_lease, hpo_study, hpo_trial, trial_params, trials
from hpo.results.store.params import param_rows
from hpo.results.store.upsert import insert_for
from hpo.space import Params

FIRST = 1  # token of a trial's first attempt
_OPEN = ("RUNNING", "WAITING")  # a trial that was let go is WAITING: Optuna's state for one that is to be run


def begin_trial(
    database: Database,
    *,
    study_id: int,
    trial_id: int,
    worker_id: str,
    lease_s: float,
    config: dict[str, Any],
    seed: int,
    host: str,
    device: str,
    params: Params | None = None,
    distributions: Mapping[str, BaseDistribution] | None = None,
    prospect: Prospect | None = None,
) -> int:
    """Leases a trial that was just asked for and records what it will train; the fencing token.

    ``params`` are Optuna's of the trial, in ``distributions``; those that it has stay.

    Raises LeaseLost where another worker holds it. May be repeated after a lost answer.
    """
    described: dict[str, Any] = {"config": config, "seed": seed, "host": host, "device": device}
    if prospect is not None:
        described |= {"prospect_gain": prospect.gain, "prospect_noise": prospect.noise}
    with database.transaction() as connection:
        token = _first_lease(connection, trial_id, worker_id, lease_s)
        if token is None:
            return _own_token(connection, trial_id, worker_id)
        added = insert_for(connection, hpo_trial).values(study_id=study_id, trial_id=trial_id, attempts=1, **described)
        connection.execute(
            added.on_conflict_do_update(
                index_elements=["trial_id"], set_={"attempts": hpo_trial.c.attempts + 1, **described}
            )
        )
        if rows := param_rows(trial_id, params or {}, distributions or {}):
            kept = insert_for(connection, trial_params).values(rows)
            connection.execute(kept.on_conflict_do_nothing(index_elements=["trial_id", "param_name"]))
        return token


def take_over(
    database: Database,
    trial_id: int,
    worker_id: str,
    lease_s: float,
    *,
    host: str | None = None,
    device: str | None = None,
) -> Taken | None:
    """Leases a trial that was let go or abandoned; it is RUNNING then. None where another worker was faster."""
    with database.transaction() as connection:
        token = _expired_lease(connection, trial_id, worker_id, lease_s)
        if token is None:
            token = _first_lease(connection, trial_id, worker_id, lease_s)
        if token is None:
            return None
        if token == FIRST:
            # a trial that was planned and begins now: Optuna knows no start of it yet
            database.optuna_storage.within(connection).set_trial_state_values(trial_id, TrialState.RUNNING)
        _set_state(connection, "RUNNING", trials.c.trial_id == trial_id)
        return Taken(token, _count_attempt(connection, trial_id, host, device))


def renew(database: Database, trial_id: int, token: int, lease_s: float) -> None:
    """Keeps the lease for another ``lease_s`` seconds; raises LeaseLost."""
    with fenced(database, trial_id, token) as connection:
        connection.execute(_of(trial_id).values(expires=epoch_now() + lease_s))


def release(database: Database, trial_id: int, token: int, *, interrupted: bool = False) -> None:
    """Lets the trial go at once: it is WAITING until somebody takes it over. Raises LeaseLost.

    ``interrupted``: the worker ends in good order (Ctrl-C, preemption, a paused study), so the attempt does not count.
    """
    with fenced(database, trial_id, token) as connection:
        connection.execute(_of(trial_id).values(expires=epoch_now()))
        _set_state(connection, "WAITING", trials.c.trial_id == trial_id)
        if interrupted:
            of_trial = update(hpo_trial).where(hpo_trial.c.trial_id == trial_id)
            connection.execute(of_trial.values(attempts=hpo_trial.c.attempts - 1))


def release_worker(database: Database, worker_id: str) -> None:
    """Lets go of everything that a dead worker held, the ask lock included."""
    with database.transaction() as connection:
        held = and_(hpo_lease.c.worker_id == worker_id, hpo_lease.c.expires > epoch_now())
        released = update(hpo_lease).where(held).values(expires=epoch_now()).returning(hpo_lease.c.trial_id)
        trial_ids = list(connection.scalars(released))
        _set_state(connection, "WAITING", and_(trials.c.trial_id.in_(trial_ids), trials.c.state == "RUNNING"))
        asked = update(hpo_study).where(hpo_study.c.ask_owner == worker_id)
        connection.execute(asked.values(ask_owner=None, ask_expires=None))


def abandoned(database: Database, study_id: int) -> list[Abandoned]:
    """Trials of the study that were let go, or whose lease has expired or is missing; the oldest first.

    A trial without a lease that is newer than the current ask lock is not abandoned: its worker is about to begin it.
    """
    being_asked = and_(
        hpo_study.c.ask_owner.is_not(None),
        hpo_study.c.ask_expires > epoch_now(),
        trials.c.trial_id > hpo_study.c.ask_floor,
    )
    running = trials.c.state == "RUNNING"
    no_lease = and_(running, hpo_lease.c.trial_id.is_(None), func.coalesce(being_asked, literal(False)).is_(False))
    expired = and_(trials.c.state.in_(_OPEN), hpo_lease.c.expires <= epoch_now())
    attempts = func.coalesce(hpo_trial.c.attempts, 0)
    query = (
        select(trials.c.trial_id, trials.c.number, attempts, hpo_trial.c.config, hpo_trial.c.confirms)
        .select_from(trials)
        .outerjoin(hpo_lease, hpo_lease.c.trial_id == trials.c.trial_id)
        .outerjoin(hpo_trial, hpo_trial.c.trial_id == trials.c.trial_id)
        .outerjoin(hpo_study, hpo_study.c.study_id == trials.c.study_id)
        .where(trials.c.study_id == study_id, or_(expired, no_lease))
        .order_by(trials.c.number)
    )
    with database.reading() as connection:
        return [Abandoned(*row) for row in connection.execute(query)]


@contextmanager
def fenced(database: Database, trial_id: int, token: int) -> Iterator[Connection]:
    """A transaction that only the newest token's holder gets, and that nobody can take the trial over during.

    Raises LeaseLost where another worker has taken over, or where the trial was ended or deleted from outside.
    """
    holds = and_(hpo_lease.c.token == token, _is_in(trial_id, ("RUNNING",)))
    with database.transaction() as connection:
        # A write, not a read: it takes the row's lock (PostgreSQL) or the database's (SQLite).
        if connection.execute(_of(trial_id).where(holds).values(expires=hpo_lease.c.expires)).rowcount == 0:
            raise LeaseLost(f"trial_id {trial_id}: token {token} is not the newest, or the trial was ended or deleted")
        yield connection


def _of(trial_id: int) -> Update:
    return update(hpo_lease).where(hpo_lease.c.trial_id == trial_id)


def _set_state(connection: Connection, state: str, where: ColumnElement[bool]) -> None:
    connection.execute(update(trials).where(where).values(state=state))


def _is_in(trial_id: int, states: tuple[str, ...]) -> ColumnElement[bool]:
    return exists().where(trials.c.trial_id == trial_id, trials.c.state.in_(states))


def _first_lease(connection: Connection, trial_id: int, worker_id: str, lease_s: float) -> int | None:
    columns = ["trial_id", "worker_id", "token", "expires"]
    row = select(literal(trial_id), literal(worker_id), literal(FIRST), epoch_now() + lease_s).where(
        _is_in(trial_id, ("RUNNING",))
    )
    added = insert_for(connection, hpo_lease).from_select(columns, row)
    token: int | None = connection.scalar(added.on_conflict_do_nothing().returning(hpo_lease.c.token))
    return token


def _expired_lease(connection: Connection, trial_id: int, worker_id: str, lease_s: float) -> int | None:
    expired = and_(hpo_lease.c.expires <= epoch_now(), _is_in(trial_id, _OPEN))
    values = {"worker_id": worker_id, "token": hpo_lease.c.token + 1, "expires": epoch_now() + lease_s}
    token: int | None = connection.scalar(_of(trial_id).where(expired).values(values).returning(hpo_lease.c.token))
    return token


def _own_token(connection: Connection, trial_id: int, worker_id: str) -> int:
    mine = (hpo_lease.c.trial_id == trial_id, hpo_lease.c.worker_id == worker_id)
    token: int | None = connection.scalar(select(hpo_lease.c.token).where(*mine))
    if token is None:
        raise LeaseLost(f"trial_id {trial_id} is held by another worker, or was ended or deleted")
    return token


def _count_attempt(connection: Connection, trial_id: int, host: str | None, device: str | None) -> int:
    places = {"host": host, "device": device} if host is not None else {}
    row = select(trials.c.trial_id, trials.c.study_id, literal(1)).where(trials.c.trial_id == trial_id)
    added = insert_for(connection, hpo_trial).from_select(["trial_id", "study_id", "attempts"], row)
    counted = added.on_conflict_do_update(
        index_elements=["trial_id"], set_={"attempts": hpo_trial.c.attempts + 1, **places}
    )
    return int(connection.execute(counted.returning(hpo_trial.c.attempts)).scalar_one())
