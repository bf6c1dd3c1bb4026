"""Tasks that exported learners with a memory have been adapted to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Adds the table, which is empty at first."""
    op.create_table(
        "hpo_remembered_task",
        sa.Column("learner", sa.String(64), primary_key=True),
        sa.Column("slot", sa.Integer, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
    )
