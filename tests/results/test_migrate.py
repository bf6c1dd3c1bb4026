from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from hpo.errors import SchemaMismatch
from hpo.results import migrate, schema
from hpo.results.engine import Database, connect


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
