"""The trials of workers that died are let go at once."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hpo.cli.children import Children
from hpo.results import queries, store
from hpo.results.engine import Database
from hpo.study import Study


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def held_by(database: Database, trial_id: int) -> float:
    """How long the trial's lease still lasts, in seconds."""
    sql = f"SELECT expires - ((julianday('now') - 2440587.5) * 86400.0) FROM hpo_lease WHERE trial_id = {trial_id}"
    with database.reading() as connection:
        return float(connection.exec_driver_sql(sql).scalar_one())


def test_what_a_dead_child_held_is_let_go(study: Study, database: Database) -> None:
    children = Children(database, study.name)
    worker = sleeper()
    store.heartbeat(database, "worker-of-now", host=socket.gethostname(), pid=worker.pid, device="cpu", trial_id=5)
    children.release_dead()
    assert len(queries.workers(database)) == 1
    assert held_by(database, 5) > 1
    worker.kill()
    worker.wait()
    children.release_dead()
    assert queries.workers(database) == []
    assert held_by(database, 5) <= 0


def test_other_hosts_and_older_children_are_none_of_its_business(
    study: Study, database: Database, child: subprocess.Popen[bytes]
) -> None:
    children = Children(database, study.name)
    own = sleeper()
    store.heartbeat(database, "older", host=socket.gethostname(), pid=child.pid, device="cpu", trial_id=None)
    store.heartbeat(database, "far", host="elsewhere", pid=own.pid, device="cpu", trial_id=None)
    children.release_dead()
    own.kill()
    own.wait()
    children.release_dead()
    assert {row.worker_id for row in queries.workers(database)} == {"older", "far"}
    children.kill()
    assert child.poll() is None


def test_killing_ends_the_children(study: Study, database: Database) -> None:
    children = Children(database, study.name)
    own = sleeper()
    children.kill()
    assert own.wait() == -signal.SIGKILL
