"""Making and upgrading the tables: Optuna's by Optuna, hpo's by Alembic, the views last."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from optuna.exceptions import StorageInternalError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hpo.results import triggers, versions, views
from hpo.results.database import Database
from hpo.results.optuna_storage import SharedEngineStorage
from hpo.results.versions import SchemaState

_LOCK_KEY = 0x68706F  # "hpo": one advisory lock for all who migrate one PostgreSQL database
_ATTEMPTS = 20


def check(database: Database) -> SchemaState:
    """What the database holds and what this code expects."""
    with database.reading() as connection:
        return versions.read(connection)


def upgrade(database: Database) -> SchemaState:
    """Brings every table and view to this code's state, from nothing or from an older one.

    Several processes may call it at once. Raises SchemaMismatch where the database is newer than the code.
    """
    with database.guard():
        versions.require_not_newer(database, check(database))
        _upgrade_optuna(database)
        with database.engine.begin() as connection:
            _wait_for_others(connection)
            _upgrade_hpo(connection)
    return check(database)


def _upgrade_optuna(database: Database) -> None:
    storage = _patiently(lambda: SharedEngineStorage(database.engine, database.location, create=True, check=False))
    if storage.get_current_version() == storage.get_head_version():
        return
    with database.transaction() as connection:
        views.drop(connection)  # a table that a view reads cannot be altered
    storage.upgrade()


def _upgrade_hpo(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    views.create(connection)
    triggers.create(connection)


def _wait_for_others(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text("BEGIN IMMEDIATE"))  # the driver would begin only at the first INSERT
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def _patiently(make: Callable[[], SharedEngineStorage]) -> SharedEngineStorage:
    """Optuna looks which tables are missing, then makes them: who loses that race sees them at the next look."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return make()
        except (DBAPIError, StorageInternalError):
            time.sleep(random.uniform(0.02, 0.2))
    return make()
