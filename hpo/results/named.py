"""Read-only SQL by name or by hand: ``dashboards/queries/*.sql``, and whatever else can change nothing."""

from __future__ import annotations

import difflib
import json
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

import hpo
from hpo.errors import QueryError
from hpo.results.database import Database, make_engine
from hpo.results.statement import Statement

TIMEOUT_S = 60.0
_STEPS_BETWEEN_LOOKS = 10_000  # of SQLite's machine, which makes some ten million a second
_QUERY_CANCELED = "57014"
_PACKAGE = Path(hpo.__file__).parent
_FOLDERS = (
    _PACKAGE / "_data" / "dashboards" / "queries",
    _PACKAGE.parent / "dashboards" / "queries",
)  # wheel, checkout


@dataclass(frozen=True)
class NamedQuery:
    """One file of dashboards/queries; its first line, a comment, says what it shows."""

    name: str
    description: str
    sql: str


@dataclass(frozen=True)
class Table:
    """What a query answered, as plain values: None, bool, int, float and str; JSON as text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def named_queries() -> dict[str, NamedQuery]:
    """Every named query by its name."""
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    return {path.stem: _load(path) for path in sorted(folder.glob("*.sql"))}


def run_query(
    database: Database, name_or_sql: str, params: Mapping[str, object] | None = None, timeout_s: float = TIMEOUT_S
) -> Table:
    """Runs one statement that cannot change anything; a ``:parameter`` that is not given is NULL.

    Raises QueryError for an unknown name or parameter, several statements, one that does not read, wrong SQL, and one
    that has no answer after ``timeout_s``.
    """
    is_name = re.fullmatch(r"[\w-]+", name_or_sql.strip()) is not None
    statement = Statement(_named(name_or_sql.strip()).sql if is_name else name_or_sql)
    given = dict(params or {})
    for unknown in given.keys() - set(statement.parameters):
        raise QueryError(f"no parameter {unknown!r} in this query{_nearest(unknown, statement.parameters)}")
    values = {**dict.fromkeys(statement.parameters), **given}
    with _read_only(database) as connection, _limited(connection, timeout_s):
        return _execute(connection, statement, values)


def _execute(connection: Connection, statement: Statement, values: dict[str, object]) -> Table:
    try:
        result = connection.execute(text(statement.sql), values)
        return Table(tuple(result.keys()), tuple(tuple(_plain(value) for value in row) for row in result))
    except DBAPIError as error:
        if error.connection_invalidated or _was_interrupted(error):
            raise
        message = str(error.orig).split("\n")[0]
        raise QueryError(f"the database refused the query: {message}") from None
    except (OverflowError, UnicodeError) as error:  # of the driver, for a value of --set
        raise QueryError(f"the database does not take a parameter: {error}") from None


@contextmanager
def _read_only(database: Database) -> Iterator[Connection]:
    """A connection of its own, which the database itself keeps from writing."""
    engine = make_engine(database.location, write=False, pooled=False)
    if database.dialect == "postgresql":
        event.listen(engine.pool, "connect", _prepare_every_statement)
    with database.guard(), engine.connect() as connection:
        yield connection


@contextmanager
def _limited(connection: Connection, timeout_s: float) -> Iterator[None]:
    """The database ends the statement where it takes longer; raises QueryError then."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(1000 * timeout_s))}")
    else:
        deadline = time.monotonic() + timeout_s
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
    try:
        yield
    except DBAPIError as error:
        if not _was_interrupted(error):
            raise
        raise QueryError(
            f"the query had no answer after {timeout_s:g} s: ask for less, or give it longer with --timeout"
        ) from None


def _was_interrupted(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorcode", None)
    return code in (_QUERY_CANCELED, sqlite3.SQLITE_INTERRUPT)


def _prepare_every_statement(connection: Any, _: object) -> None:
    # The server takes only one statement at a time in a prepared one: "COMMIT; DROP ..." cannot leave the transaction.
    connection.prepare_threshold = 0


def _load(path: Path) -> NamedQuery:
    sql = path.read_text(encoding="utf-8")
    return NamedQuery(path.stem, sql.partition("\n")[0].removeprefix("--").strip(), sql)


def _named(name: str) -> NamedQuery:
    queries = named_queries()
    if name not in queries:
        listed = ", ".join(queries)
        raise QueryError(f"no query {name!r}{_nearest(name, queries)}; there are {listed}, or write SQL: 'SELECT ...'")
    return queries[name]


def _nearest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return float(value)
        case dict() | list():
            return json.dumps(value, default=_plain)
        case date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case None | bool() | int() | float() | str():
            return value
    return str(value)  # such as an interval or a UUID of PostgreSQL's
