"""Tasks that learners with a memory have been adapted to, by the slots of their bank."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from hpo.results.clock import epoch_now
from hpo.results.database import Database
from hpo.results.schema import hpo_remembered_task as remembered
from hpo.results.store.upsert import insert_for


def recall_tasks(database: Database, learner: str) -> dict[int, bytes]:
    """Slot -> content of all that the learner of this fingerprint remembers."""
    query = select(remembered.c.slot, remembered.c.content).where(remembered.c.learner == learner)
    with database.reading() as connection:
        return {slot: bytes(content) for slot, content in connection.execute(query)}


def remember_tasks(database: Database, learner: str, slots: Mapping[int, bytes]) -> None:
    """Replaces what these slots held: which is the least recently used, the learner says."""
    with database.transaction() as connection:
        for slot, content in slots.items():
            row = {"content": content, "changed": epoch_now()}
            added = insert_for(connection, remembered).values(learner=learner, slot=slot, **row)
            connection.execute(added.on_conflict_do_update(index_elements=["learner", "slot"], set_=row))
