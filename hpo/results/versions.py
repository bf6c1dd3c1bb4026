"""Which tables a database has, and whether this code can use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from hpo.errors import SchemaMismatch
from hpo.results import views
from hpo.results.database import Database
from hpo.results.schema import HPO_REVISION, HPO_VERSION_TABLE, OPTUNA_REVISION, OPTUNA_VERSION_TABLE

if TYPE_CHECKING:
    from hpo.results.optuna_storage import SharedEngineStorage


@dataclass(frozen=True)
class SchemaState:
    """Revisions of hpo's and of Optuna's tables, None where there are none, and hpo's views that are missing."""

    hpo: str | None
    optuna: str | None
    missing_views: tuple[str, ...]
    hpo_expected: str = HPO_REVISION
    optuna_expected: str = OPTUNA_REVISION

    @property
    def is_current(self) -> bool:
        """Whether this code and the database fit."""
        return (self.hpo, self.optuna) == (self.hpo_expected, self.optuna_expected) and not self.missing_views


def read(connection: Connection) -> SchemaState:
    """The state of the tables behind ``connection``."""
    inspector = inspect(connection)
    present = {*inspector.get_table_names(), *inspector.get_view_names()}
    return SchemaState(
        hpo=_revision(connection, HPO_VERSION_TABLE) if HPO_VERSION_TABLE in present else None,
        optuna=_revision(connection, OPTUNA_VERSION_TABLE) if OPTUNA_VERSION_TABLE in present else None,
        missing_views=tuple(name for name in views.statements(connection.dialect.name) if name not in present),
    )


def require_current(database: Database, state: SchemaState) -> None:
    """Raises SchemaMismatch with what to do where the tables are missing, older or newer than this code."""
    where = database.url_masked
    if state.hpo is None and state.optuna is None:
        raise SchemaMismatch(
            f"{where} holds no tables of hpo's or Optuna's:  hpo launch  or  hpo db upgrade  makes them"
        )
    if state.hpo is None:
        raise SchemaMismatch(f"{where} holds Optuna's tables but not hpo's: run  hpo db upgrade")
    require_not_newer(database, state)
    if state.hpo != state.hpo_expected or state.missing_views:
        found = "views are missing" if state.missing_views else f"revision {state.hpo}, expected {state.hpo_expected}"
        raise SchemaMismatch(f"{where} was written by an older hpo ({found}): run  hpo db upgrade")
    if not suits_optuna(database, state):
        raise SchemaMismatch(f"{where} was written by an older Optuna (revision {state.optuna}): run  hpo db upgrade")


def require_not_newer(database: Database, state: SchemaState) -> None:
    """Raises SchemaMismatch where newer code has written the tables."""
    if state.hpo is not None and state.hpo > state.hpo_expected:  # revisions are zero-padded numbers
        raise SchemaMismatch(
            f"{database.url_masked}: this database was written by a newer hpo (revision {state.hpo}; this one knows "
            f"{state.hpo_expected}): upgrade hpo"
        )
    if state.optuna not in (None, state.optuna_expected) and not _is_known_to_optuna(database, state):
        raise SchemaMismatch(
            f"{database.url_masked}: this database was written by a newer Optuna (revision {state.optuna}): "
            "upgrade Optuna"
        )


def suits_optuna(database: Database, state: SchemaState) -> bool:
    """Whether Optuna's tables are the installed Optuna's, or still to be made."""
    if state.optuna in (None, state.optuna_expected):
        return True
    return state.optuna == _unchecked_storage(database).get_head_version()


def _revision(connection: Connection, table: str) -> str | None:
    found = connection.execute(text(f"SELECT max(version_num) FROM {table}")).scalar()
    return None if found is None else str(found)


def _is_known_to_optuna(database: Database, state: SchemaState) -> bool:
    return state.optuna in _unchecked_storage(database).get_all_versions()


def _unchecked_storage(database: Database) -> SharedEngineStorage:
    from hpo.results.optuna_storage import SharedEngineStorage

    return SharedEngineStorage(database.engine, database.location, check=False)
