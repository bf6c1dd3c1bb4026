"""Signs of life."""

from __future__ import annotations

from sqlalchemy import delete

from hpo.results.clock import epoch_now
from hpo.results.database import Database
from hpo.results.schema import hpo_worker
from hpo.results.store.upsert import insert_for


def heartbeat(database: Database, worker_id: str, *, host: str, pid: int, device: str, trial_id: int | None) -> None:
    """Records that the worker is alive, where, and what it trains now."""
    row = {"host": host, "pid": pid, "device": device, "trial_id": trial_id, "last_seen": epoch_now()}
    with database.transaction() as connection:
        added = insert_for(connection, hpo_worker).values(worker_id=worker_id, **row)
        connection.execute(added.on_conflict_do_update(index_elements=["worker_id"], set_=row))


def remove_worker(database: Database, worker_id: str) -> None:
    """Forgets a worker that has ended."""
    with database.transaction() as connection:
        connection.execute(delete(hpo_worker).where(hpo_worker.c.worker_id == worker_id))
