"""How a trial's derivatives were computed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the column; of trials that ended before it is not known. The views are made anew after every upgrade."""
    op.add_column("hpo_trial", sa.Column("gradients", sa.String(16)))
