"""How many numbers a trial meta-learned, and which of its study's constraints it violates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds the columns; earlier studies have no constraints."""
    op.add_column("hpo_trial", sa.Column("meta_parameters", sa.BigInteger))
    op.add_column("hpo_trial", sa.Column("violated", sa.Text))
