"""Real databases for tests: an SQLite file, and a PostgreSQL server that is started once a session.

``storage_url`` is an empty database of each kind in turn, ``database`` the same, opened; ``sqlite_url`` and
``postgres_url`` are one of them.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from hpo.results.engine import Database, connect
from tests.end_to_end.support import Hpo
from tests.postgres import PASSWORD, PostgresServer, running_server

# No deadline for one example: a machine that is busy is not a failure.
# CI tries the same examples each time: what it refuses, anybody can see refused.
hypothesis.settings.register_profile("hpo", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("hpo")


@pytest.fixture(scope="session", autouse=True)
def _accelerator_is_built() -> None:
    """Half a minute on a fresh machine, before the clock of any test runs; without a compiler tests do without."""
    from hpo.meta.accelerator import library

    library()


@pytest.fixture(autouse=True)
def _subnormal_numbers() -> Iterator[None]:
    """A training in this process has them count as zero, for good; Hypothesis wants them back."""
    yield
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The role ``locked`` needs PASSWORD; others need none."""
    with running_server(durable=False) as server:
        access = server.handle.pgdata / "pg_hba.conf"
        access.write_text("local all locked scram-sha-256\n" + access.read_text())
        server.execute(
            "SELECT pg_reload_conf()",
            f"CREATE ROLE locked LOGIN PASSWORD '{PASSWORD}'",
            "CREATE ROLE reader LOGIN",
        )
        yield server


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


@pytest.fixture
def hpo(tmp_path: Path) -> Iterator[Hpo]:
    """The command line, on SQLite."""
    command = Hpo(tmp_path, f"sqlite:///{tmp_path / 'hpo.db'}")
    yield command
    command.close()


@pytest.fixture
def hpo_on_postgres(tmp_path: Path, postgres_url: str) -> Iterator[Hpo]:
    command = Hpo(tmp_path, postgres_url)
    yield command
    command.close()
