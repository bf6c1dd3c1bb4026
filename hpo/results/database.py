"""An open database: one engine, one pool, for hpo and for Optuna."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event

from hpo.errors import MissingExtra
from hpo.results.failures import translated
from hpo.results.urls import Dialect, Location

if TYPE_CHECKING:
    from hpo.results.optuna_storage import SharedEngineStorage

BUSY_TIMEOUT_S = 60.0
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
        """A connection to read from."""
        with self.guard(), self.engine.connect() as connection:
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
    engine = create_engine(location.url, pool_pre_ping=True, connect_args=timeout, **pool)
    return engine if write else engine.execution_options(postgresql_readonly=True)
