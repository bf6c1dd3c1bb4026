from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hpo.errors import HpoError, InputError, MissingExtra, SchemaMismatch, StorageReadOnly, StorageUnreachable
from hpo.results import migrate, queries
from hpo.results.engine import Database, connect
from hpo.results.urls import parse_url
from tests.postgres import PASSWORD

NOBODY = 65534


def _fails(url: str, error: type[HpoError], **options: bool) -> str:
    with pytest.raises(error) as caught:
        connect(url, **options)
    return str(caught.value)


def test_a_new_database_is_made_and_opened_again(storage_url: str) -> None:
    with connect(storage_url, create=True) as database:
        assert migrate.check(database).is_current
        assert queries.summaries(database) == []
    with connect(storage_url) as database:
        assert database.optuna_storage.get_all_studies() == []


def test_one_pool_for_hpo_and_optuna(database: Database) -> None:
    assert database.optuna_storage.engine is database.engine
    session = database.optuna_storage.scoped_session()
    assert session.get_bind() is database.engine
    session.close()


def test_sqlite_settings_on_every_connection(sqlite_made_url: str) -> None:
    with connect(sqlite_made_url) as database, database.engine.connect() as one, database.engine.connect() as other:
        for connection in (one, other, database.optuna_storage.engine.connect()):
            pragmas = {name: connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")}
            assert pragmas == {"journal_mode": "wal", "synchronous": 1}
            assert connection.scalar(text("PRAGMA busy_timeout")) == 60_000
            connection.close()


@pytest.mark.parametrize("write", [True, False])
def test_nothing_is_created_by_looking(tmp_path: Path, write: bool) -> None:
    message = _fails(f"sqlite:///{tmp_path / 'hpo.db'}", StorageUnreachable, write=write)
    assert "there is no file" in message
    assert "hpo launch" in message
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    assert "there is no directory" in _fails(f"sqlite:///{tmp_path}/no/hpo.db", StorageUnreachable, create=True)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_place_of_a_file(tmp_path: Path) -> None:
    assert "is a directory" in _fails(f"sqlite:///{tmp_path}", StorageUnreachable)


@pytest.mark.parametrize("options", [{"write": False}, {"write": True}, {"create": True}])
def test_a_file_that_is_no_database(tmp_path: Path, options: dict[str, bool]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("name: quickstart\n" * 100)
    assert "is not an SQLite database" in _fails(f"sqlite:///{path}", StorageUnreachable, **options)
    assert path.read_text() == "name: quickstart\n" * 100


def test_an_empty_file_is_filled_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "hpo.db"
    path.touch()
    assert "no tables" in _fails(f"sqlite:///{path}", SchemaMismatch, write=False)
    assert path.stat().st_size == 0
    connect(f"sqlite:///{path}", create=True).close()
    assert path.stat().st_size > 0


def test_a_database_of_optunas_gets_hpos_tables_and_keeps_its_own(storage_url: str) -> None:
    storage = optuna.storages.RDBStorage(parse_url(storage_url).revealed)
    optuna.create_study(storage=storage, study_name="mine").optimize(lambda trial: trial.suggest_float("x", 0, 1), 1)
    storage.engine.dispose()
    assert "Optuna's tables but not hpo's" in _fails(storage_url, SchemaMismatch)
    with connect(storage_url, create=True) as database:
        assert [(row.study, row.complete, row.metric) for row in queries.summaries(database)] == [("mine", 1, None)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE hpo_alembic_version SET version_num = '9999'", "written by a newer hpo"),
        ("UPDATE hpo_alembic_version SET version_num = '0000'", "hpo db upgrade"),
        ("DROP VIEW hpo_curves", "hpo db upgrade"),
        ("UPDATE alembic_version SET version_num = 'v99.0.0.a'", "written by a newer Optuna"),
        ("UPDATE alembic_version SET version_num = 'v2.6.0.a'", "older Optuna"),
    ],
)
@pytest.mark.parametrize("options", [{"write": False}, {"write": True}, {"create": True}])
def test_other_tables_than_this_codes_are_refused(
    made_url: str, change: str, expected: str, options: dict[str, bool]
) -> None:
    with connect(made_url) as database, database.transaction() as connection:
        connection.execute(text(change))
    assert expected in _fails(made_url, SchemaMismatch, **options)


def test_a_reader_cannot_write(made_url: str) -> None:
    with connect(made_url, write=False) as database:
        assert queries.summaries(database) == []
        with pytest.raises(StorageReadOnly), database.transaction() as connection:
            connection.execute(text("DELETE FROM hpo_worker"))


def test_a_reader_loads_neither_optuna_nor_alembic(sqlite_made_url: str) -> None:
    code = (
        "import sys; from hpo.results.engine import connect; from hpo.results import queries, named\n"
        f"database = connect({sqlite_made_url!r}, write=False); queries.summaries(database)\n"
        "named.run_query(database, 'best'); sys.exit(bool({'optuna', 'alembic', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# PostgreSQL


def test_wrong_passwords_and_absent_servers_are_named_without_the_password(
    postgres_server: Any, tmp_path: Path
) -> None:
    wrong = postgres_server.url("postgres", "locked", "wr0ng:p@ss")
    assert "password authentication failed" in (message := _fails(wrong, StorageUnreachable))
    assert "wr0ng" not in message
    gone = f"postgresql://me:s3cret@/db?host={tmp_path}"
    assert "cannot reach postgresql://me:***@/db" in (message := _fails(gone, StorageUnreachable))
    assert "s3cret" not in message
    refused = "postgresql://me:s3cret@127.0.0.1:1/db"
    assert "s3cret" not in _fails(refused, StorageUnreachable, create=True)


def test_no_traceback_shows_the_password(tmp_path: Path) -> None:
    code = "import sys; from hpo.results.engine import connect; connect(sys.argv[1])"
    url = f"postgresql://me:s3cret@/db?host={tmp_path}"
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=False)
    assert "StorageUnreachable" in done.stderr
    assert "s3cret" not in done.stderr


def test_the_right_password_opens(postgres_server: Any) -> None:
    assert "no tables" in _fails(postgres_server.url("postgres", "locked", PASSWORD), SchemaMismatch)


def test_a_database_that_does_not_exist(postgres_server: Any) -> None:
    assert "does not exist" in _fails(postgres_server.url("nowhere"), StorageUnreachable, create=True)


def test_an_unknown_option(postgres_server: Any) -> None:
    assert "colour" in _fails(postgres_server.url("postgres") + "&colour=red", InputError)


def test_a_role_or_a_server_that_may_not_write(postgres_made_url: str, postgres_server: Any) -> None:
    name = str(parse_url(postgres_made_url).url.database)
    postgres_server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", database=name)
    url = postgres_server.url(name, "reader")
    assert "may not write" in _fails(url, StorageReadOnly)
    with connect(url, write=False) as database:
        assert queries.summaries(database) == []
    postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert "is read-only" in _fails(postgres_made_url, StorageReadOnly)


def test_postgresql_without_its_driver(postgres_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'hpo[postgres]'" in _fails(postgres_server.url("postgres"), MissingExtra)


# Files that may not be written: root may write everything, so these run as somebody else.


@pytest.fixture
def shared_folder(sqlite_template: Path) -> Iterator[Path]:
    """A directory with a database that everybody may read and only its owner may write."""
    with tempfile.TemporaryDirectory(prefix="hpo-shared-") as name:
        folder = Path(name)
        (folder / "hpo.db").write_bytes(sqlite_template.read_bytes())
        (folder / "hpo.db").chmod(0o444)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


def _as_nobody(call: Callable[[], object]) -> str:
    """What ``call`` raises or returns in a forked process without root's rights."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def run() -> None:
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        try:
            answers.put(f"fine: {call()}")
        except Exception as error:
            answers.put(f"{type(error).__name__}: {error}")

    process = context.Process(target=run)
    process.start()
    process.join()
    answer: str = answers.get()
    return answer


def test_a_file_that_may_not_be_written(shared_folder: Path) -> None:
    url = f"sqlite:///{shared_folder}/hpo.db"
    assert _as_nobody(lambda: connect(url)).startswith("StorageReadOnly")
    assert _as_nobody(lambda: connect(url, create=True)).startswith("StorageReadOnly")
    assert _as_nobody(lambda: connect(f"sqlite:///{shared_folder}/new.db", create=True)).startswith("StorageReadOnly")


def test_a_sealed_file_can_be_read(shared_folder: Path) -> None:
    url = f"sqlite:///{shared_folder}/hpo.db"
    assert _as_nobody(lambda: queries.summaries(connect(url, write=False))) == "fine: []"


def test_a_file_that_may_not_be_read(shared_folder: Path) -> None:
    (shared_folder / "hpo.db").chmod(0o000)
    assert _as_nobody(lambda: connect(f"sqlite:///{shared_folder}/hpo.db", write=False)).startswith(
        "StorageUnreachable"
    )


def test_a_lock_held_for_long_is_told_as_such(sqlite_made_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.results.database.BUSY_TIMEOUT_S", 0.05)
    with connect(sqlite_made_url) as database:
        other = sqlite3.connect(sqlite_made_url.removeprefix("sqlite:///"))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnreachable, match="locked by another process"), database.transaction() as connection:
            connection.execute(text("DELETE FROM hpo_worker"))
        other.close()


def test_a_wrong_statement_stays_a_bug(database: Database) -> None:
    with pytest.raises(DBAPIError), database.reading() as connection:
        connection.execute(text("SELEC 1"))
