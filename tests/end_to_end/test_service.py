"""A worker that stays, and a study that is left to it."""

from __future__ import annotations

import signal

from hpo.results import queries
from hpo.results.engine import connect
from tests.conftest import PostgresServer
from tests.end_to_end.support import Hpo, wait_until


def outcomes(storage: str) -> list[str | None]:
    with connect(storage) as database:
        return [row.outcome for row in queries.study_trials(database, "small")]


def test_a_worker_that_is_there_before_the_database_serves_what_is_launched(
    hpo_on_postgres: Hpo, postgres_server: PostgresServer
) -> None:
    hpo = hpo_on_postgres
    name = hpo.storage.partition("?")[0].rpartition("/")[2]
    postgres_server.execute(f"DROP DATABASE {name}")
    worker = hpo.start("worker", "--forever", "--device", "cpu", "--threads", "1")
    assert worker.stdout is not None
    assert "trying again" in worker.stdout.readline()
    postgres_server.execute(f"CREATE DATABASE {name}")
    wait_until(lambda: "on cpu" in worker.stdout.readline(), timeout=60)  # type: ignore[union-attr]

    said = hpo("launch", "--detach", str(hpo.write(stop={"trials": 2})))
    assert "1 worker of this database will take its trials" in said
    wait_until(lambda: outcomes(hpo.storage) == ["ok"] * 2, timeout=60)
    postgres_server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    hpo("launch", "--detach", str(hpo.write(stop={"trials": 3})))
    wait_until(lambda: outcomes(hpo.storage) == ["ok"] * 3, timeout=60)

    worker.send_signal(signal.SIGTERM)
    left, _ = worker.communicate(timeout=15)
    assert worker.returncode == 0
    assert left.splitlines()[-1].endswith("ends: stopped")
