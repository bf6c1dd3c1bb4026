"""After how many inner steps a trial's objective was measured."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds the column; earlier trials were judged after as many as they were trained with."""
    op.add_column("hpo_trial", sa.Column("objective_inner_steps", sa.Integer))
