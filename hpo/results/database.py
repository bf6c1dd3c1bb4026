"""An open database: one engine, one pool, for hpo and for Optuna."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from hpo.errors import MissingExtra
from hpo.results.failures import translated
from hpo.results.urls import Dialect, Location

if TYPE_CHECKING:
    from hpo.results.optuna_storage import SharedEngineStorage

BUSY_TIMEOUT_S = 60.0
IDLE_S = 2.0  # after which a connection is asked whether it still is one
CONNECT_TIMEOUT_S = 10


@dataclass(frozen=True)
class Database:
    """Made by :func:`hpo.results.engine.connect`; a context manager that gives its connections back."""

    location: Location
    engine: Engine
    write: bool

    @property
    def url_masked(self) -> str:
        """The URL without its password, as messages show it."""
        return self.location.masked

    @property
    def dialect(self) -> Dialect:
        """``sqlite`` or ``postgresql``."""
        return self.location.dialect

    @cached_property
    def optuna_storage(self) -> SharedEngineStorage:
        """Optuna's storage on the same engine; made late, so that who only reads never imports Optuna."""
        from hpo.results.optuna_storage import SharedEngineStorage

        with self.guard():
            return SharedEngineStorage(self.engine, self.location)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Raises StorageError where the database fails inside the block, Optuna's calls included."""
        with translated(self.location):
            yield

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection whose writes are kept together or not at all."""
        with self.guard(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read from: each statement sees what is committed by then."""
        with self.guard(), self.engine.connect() as connection:
            if self.dialect == "postgresql" and self.write:  # who may not write stays in a read-only transaction
                connection.execution_options(isolation_level="AUTOCOMMIT")  # spares BEGIN and ROLLBACK: two answers
            yield connection

    def close(self) -> None:
        """Closes every connection that is not in use."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def make_engine(location: Location, *, create: bool = False, write: bool = True, pooled: bool = True) -> Engine:
    """An engine with the settings that hpo relies on; connects to nothing yet."""
    pool: dict[str, Any] = {} if pooled else {"poolclass": NullPool}
    if location.path is not None:
        return _sqlite(location, "rwc" if create else "rw" if write else "ro", pool)
    return _postgresql(location, write, pool)


def _sqlite(location: Location, mode: str, pool: dict[str, Any]) -> Engine:
    query = {"mode": mode, "uri": "true"}
    if mode == "ro" and _is_sealed(location):
        query["immutable"] = "1"
    name = "file:" + quote(str(location.path))  # a URI, because only that can refuse to create the file
    url = URL.create("sqlite+pysqlite", database=name, query=query)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, **pool)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")  # safe with WAL: a power cut may lose the last commits, no more
        if mode == "ro":
            connection.execute("PRAGMA query_only=ON")

    return engine


def _is_sealed(location: Location) -> bool:
    """Whether the file lies where nobody writes: SQLite then needs ``immutable``, as it cannot make the WAL's index."""
    path = location.path
    assert path is not None
    return not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists()


def _postgresql(location: Location, write: bool, pool: dict[str, Any]) -> Engine:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise MissingExtra("psycopg", "postgres", "a PostgreSQL storage") from None
    timeout = {} if "connect_timeout" in location.url.query else {"connect_timeout": CONNECT_TIMEOUT_S}
    engine = create_engine(location.url, connect_args=timeout, **pool)
    _test_idle_connections(engine)
    return engine if write else engine.execution_options(postgresql_readonly=True)


def _test_idle_connections(engine: Engine) -> None:
    """As pool_pre_ping, but not of a connection that was just in use: the question takes as long as a statement.

    One that the server has closed in the meantime fails as StorageUnreachable, which workers wait out.
    """

    @event.listens_for(engine, "checkin")
    def note(_: object, record: ConnectionPoolEntry) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def test(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        if time.monotonic() - record.info.get("used", math.inf) < IDLE_S:
            return
        try:
            alive = engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            alive = False
        if not alive:
            raise DisconnectionError  # the pool makes another one
