"""Opening a database, with a clear error for everything that can be wrong with it."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from sqlalchemy import text

from hpo.errors import StorageReadOnly, StorageUnreachable
from hpo.results import versions
from hpo.results.database import BUSY_TIMEOUT_S, Database, make_engine
from hpo.results.urls import Location, parse_url

__all__ = ["Database", "connect"]

_MAY_NOT_INSERT = "SELECT NOT has_table_privilege(to_regclass('hpo_trial'), 'INSERT')"  # NULL: no such table yet


def connect(url: str, *, create: bool = False, write: bool = True, check_schema: bool = True) -> Database:
    """Opens the database at ``url`` (``sqlite:///hpo.db``, ``postgresql://user@host/database``).

    ``create`` makes what is missing: the SQLite file, Optuna's tables, hpo's tables and views; without it nothing is
    created, not even an empty file. ``write=False`` cannot change anything. ``check_schema=False`` is for ``hpo db``.

    Raises InputError (the URL), MissingExtra (psycopg), StorageUnreachable, StorageReadOnly, SchemaMismatch. No message
    holds a password.
    """
    location = parse_url(url)
    if location.path is not None:
        _check_file(location.path, location, create, write or create)
    database = Database(location, make_engine(location, create=create, write=write or create), write or create)
    try:
        with database.guard():
            _prepare(database, create, check_schema)
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: Database, create: bool, check_schema: bool) -> None:
    if database.write:
        _require_writable(database)
    with database.reading() as connection:
        state = versions.read(connection)
    if create and state.hpo is None and versions.suits_optuna(database, state):
        from hpo.results import migrate  # Alembic and Optuna: only who creates pays for importing them

        state = migrate.upgrade(database)
    if check_schema:
        versions.require_current(database, state)


def _check_file(path: Path, location: Location, create: bool, write: bool) -> None:
    if path.is_dir():
        raise StorageUnreachable(f"{location.masked}: {path} is a directory: name a file in it")
    if not path.exists():
        _check_missing(path, location, create)
    elif write and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        # SQLite writes its log beside the file, so a writable file in a read-only directory does not do.
        raise StorageReadOnly(f"{location.masked} cannot be written: make {path} and its directory writable")


def _check_missing(path: Path, location: Location, create: bool) -> None:
    if not path.parent.is_dir():
        raise StorageUnreachable(f"{location.masked}: there is no directory {path.parent}: make it first")
    if not create:
        raise StorageUnreachable(f"{location.masked}: there is no file {path}:  hpo launch  creates it")
    if not os.access(path.parent, os.W_OK):
        raise StorageReadOnly(f"{location.masked} cannot be created: the directory {path.parent} is not writable")


def _require_writable(database: Database) -> None:
    if database.location.path is not None:
        _switch_to_wal(database)
        return
    with database.reading() as connection:
        read_only = connection.execute(text("SELECT current_setting('transaction_read_only')")).scalar()
        denied = connection.execute(text(_MAY_NOT_INSERT)).scalar()
    if read_only == "on":
        raise StorageReadOnly(f"{database.url_masked} is read-only (a standby?): use the primary server")
    if denied:
        raise StorageReadOnly(f"{database.url_masked}: this role may not write hpo's tables: GRANT it the right to")


def _switch_to_wal(database: Database) -> None:
    """Readers and one writer at a time no longer block each other; a property of the file, so it is set once.

    The switch needs the file for itself and SQLite does not wait for it, busy timeout or not.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            with database.engine.connect() as connection:
                connection.execute(text("PRAGMA journal_mode=WAL"))
            return
        except Exception as error:
            locked = isinstance(getattr(error, "orig", None), sqlite3.OperationalError) and "locked" in str(error)
            if not locked or time.monotonic() > deadline:
                raise
        time.sleep(0.05)
