from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from hpo.errors import SchemaMismatch
from hpo.results import migrate, queries, schema, store
from hpo.results.engine import Database, connect
from hpo.results.urls import parse_url
from tests.results.conftest import ok

R0001 = Path(__file__).parent / "r0001"


def test_the_migrations_make_the_tables_of_the_schema(database: Database) -> None:
    def ours(item: object, name: str | None, kind: str, *_: object) -> bool:
        return kind != "table" or str(name).startswith("hpo_")

    options = {"version_table": schema.HPO_VERSION_TABLE, "include_object": ours, "compare_type": True}
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.metadata) == []


def test_the_expected_revisions_are_the_newest(database: Database) -> None:
    scripts = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    assert scripts.get_current_head() == schema.HPO_REVISION
    assert database.optuna_storage.get_head_version() == schema.OPTUNA_REVISION


def test_upgrade_from_nothing_and_once_more(sqlite_url: str) -> None:
    Path(sqlite_url.removeprefix("sqlite:///")).touch()
    with connect(sqlite_url, check_schema=False) as database:
        assert not migrate.check(database).is_current
        assert migrate.upgrade(database).is_current
        assert migrate.upgrade(database).is_current


def test_upgrade_makes_views_and_triggers_anew(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("DROP VIEW hpo_best_configs"))
        connection.execute(text("DROP VIEW hpo_curves"))
    assert migrate.check(database).missing_views == ("hpo_best_configs", "hpo_curves")
    assert migrate.upgrade(database).is_current


def test_upgrade_upgrades_optunas_tables_under_our_views(database: Database) -> None:
    with database.transaction() as connection:  # undo Optuna's newest migration, which adds an index
        connection.execute(text("DROP INDEX ix_trials_study_id"))
        connection.execute(text("UPDATE alembic_version SET version_num = 'v3.0.0.d'"))
    state = migrate.upgrade(database)
    assert state.is_current
    assert state.optuna == schema.OPTUNA_REVISION


def test_a_newer_database_is_left_alone(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("UPDATE hpo_alembic_version SET version_num = '9999'"))
        connection.execute(text("DROP VIEW hpo_curves"))
    with pytest.raises(SchemaMismatch, match="newer hpo"):
        migrate.upgrade(database)
    assert migrate.check(database).missing_views == ("hpo_curves",)


@pytest.fixture(params=["sqlite", "postgres"])
def r0001_url(request: pytest.FixtureRequest) -> str:
    """A database that hpo has written at revision 0001: trial 0 of "lab" ended ok, trial 1 runs."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    dump = R0001 / f"{request.param}.sql"
    if request.param == "sqlite":
        file = sqlite3.connect(str(parse_url(url).path))
        file.executescript(dump.read_text())
        file.close()
    else:
        server = request.getfixturevalue("postgres_server")
        command = [server.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", url]
        subprocess.run([*command, "-f", dump], check=True, capture_output=True)
    return url


def contents(database: Database) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables but the revisions."""
    with database.reading() as connection:
        names = [name for name in inspect(connection).get_table_names() if "alembic" not in name]
        return {name: _rows(connection, name) for name in names}


def _rows(connection: Connection, table: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table}")).mappings()]


ADDED = {
    "hpo_study": ("candidates", "stop_reason", "warm_start"),
    "hpo_trial": (
        *("gradients", "posterior_sd", "prospect_gain", "prospect_noise", "confirms"),
        *("confirmed_mean", "confirmed_sem", "confirmed_seeds", "confirmed_failed", "objective_inner_steps"),
        *("meta_parameters", "violated"),
    ),
}

NEW = ("hpo_remembered_task",)


def test_revision_0001_is_upgraded_without_a_loss(r0001_url: str) -> None:
    with pytest.raises(SchemaMismatch, match=r"revision 0001, expected \d+\): run  hpo db upgrade"):
        connect(r0001_url)
    with connect(r0001_url, check_schema=False) as database:
        before = contents(database) | {name: [] for name in NEW}
        assert migrate.upgrade(database).is_current
        assert len(before["hpo_trial"]) == 2
        for table, added in ADDED.items():
            for row in before[table]:
                row.update(dict.fromkeys(added))
        assert contents(database) == before


def test_after_an_upgrade_old_trials_are_read_and_go_on(r0001_url: str) -> None:
    with connect(r0001_url, check_schema=False) as database:
        migrate.upgrade(database)
    with connect(r0001_url) as database:
        ended, running = queries.study_trials(database, "lab")
        assert (ended.outcome, ended.value, ended.parameters, ended.gradients) == ("ok", 0.5, {"lr": 0.1}, None)
        store.finish(database, running.trial_id, 1, ok())
        assert [row.gradients for row in queries.study_trials(database, "lab")] == [None, "recurrences"]
