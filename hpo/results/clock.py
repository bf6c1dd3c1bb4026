"""The database's own clock: workers on several hosts agree on it, whatever their own clocks say."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

# unixepoch('subsec') needs SQLite 3.42; the Julian day of the Unix epoch is 2440587.5.
NOW = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    # clock_timestamp(), not now(): the latter stands still in a transaction that waited for a lock.
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
}


class epoch_now(FunctionElement[float]):  # noqa: N801  # written like the SQL function that it is
    """Seconds since 1970-01-01 UTC, to the millisecond, computed by the database."""

    type = Double()
    inherit_cache = True


@compiles(epoch_now)
def _compile(element: epoch_now, compiler: SQLCompiler, **_: Any) -> str:
    return NOW[compiler.dialect.name]
