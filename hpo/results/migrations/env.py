"""Run by Alembic: migrates on the connection and in the transaction of :func:`hpo.results.migrate.upgrade`."""

from __future__ import annotations

from alembic import context

from hpo.results.schema import HPO_VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=HPO_VERSION_TABLE,
    render_as_batch=True,  # SQLite alters a column by copying its table
)
context.run_migrations()
