"""Drivers' errors as hpo's: only what a user or a retry can mend; a wrong statement stays the bug that it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from hpo.errors import HpoError, InputError, SchemaMismatch, StorageError, StorageReadOnly, StorageUnreachable
from hpo.results.urls import Location

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNUSABLE = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_NOTADB,
}
# SQLSTATE classes: connection, authorization, database name, rollback (deadlock), resources, operator, system.
_TRANSIENT = ("08", "28", "3D", "40", "53", "57", "58")
_UNDEFINED_TABLE, _READ_ONLY, _NO_PRIVILEGE, _DEPENDENTS = "42P01", "25006", "42501", "2BP01"


@contextmanager
def translated(location: Location) -> Iterator[None]:
    """Raises StorageError instead of a driver's error; ``from None``, because a driver's text may hold the password."""
    try:
        yield
    except HpoError:
        raise
    except Exception as error:
        found = _translate(error, location)
        if found is None:
            raise
        raise found from None


def _translate(error: Exception, location: Location) -> HpoError | None:
    cause: BaseException | None = error
    while cause is not None:  # Optuna wraps SQLAlchemy's errors in its own
        if isinstance(cause, exc.TimeoutError):
            return StorageUnreachable(f"{location.masked}: no connection of the pool became free in time")
        if isinstance(cause, exc.DBAPIError) and cause.orig is not None:
            if isinstance(cause.orig, sqlite3.Error):
                return _sqlite(cause.orig, location)
            return _postgresql(cause.orig, location)
        cause = cause.__cause__
    return None


def _sqlite(error: sqlite3.Error, location: Location) -> StorageError | None:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the low byte of an extended code
    if code in _BUSY:
        return StorageUnreachable(
            f"{location.masked} is locked by another process ({error}): try again, or end that one"
        )
    if code == sqlite3.SQLITE_READONLY:
        return StorageReadOnly(f"{location.masked} cannot be written ({error}): make it and its directory writable")
    if code == sqlite3.SQLITE_NOTADB:
        return StorageUnreachable(f"{location.masked} is not an SQLite database: expected a file made by hpo or Optuna")
    if code in _UNUSABLE:
        return StorageUnreachable(f"{location.masked} cannot be used: {error}")
    if "no such table" in str(error):
        return SchemaMismatch(f"{location.masked}: {error}: run  hpo db upgrade")
    return None


def _postgresql(error: BaseException, location: Location) -> HpoError | None:
    state: str | None = getattr(error, "sqlstate", None)
    first_line = location.scrub(str(error)).strip().split("\n")[0]
    if first_line.startswith("invalid connection option"):
        return InputError(f"storage {location.masked}: {first_line}: expected options of libpq after the '?'")
    if state == _UNDEFINED_TABLE:
        return SchemaMismatch(f"{location.masked}: {first_line}: run  hpo db upgrade")
    if state in (_READ_ONLY, _NO_PRIVILEGE):
        return StorageReadOnly(f"{location.masked} cannot be written ({first_line}): use a role and a server that may")
    if state == _DEPENDENTS:
        return StorageError(f"{location.masked}: {first_line}: drop your own views of hpo's views, then try again")
    lost = state is None and type(error).__name__ in ("OperationalError", "ConnectionTimeout", "InterfaceError")
    if lost or (state or "").startswith(_TRANSIENT):
        hint = "check host, port, user, password and database"
        return StorageUnreachable(f"cannot reach {location.masked}: {first_line}: {hint}")
    return None
