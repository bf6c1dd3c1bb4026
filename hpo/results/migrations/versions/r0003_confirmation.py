"""How sure the surrogate is of a trial, which trial another one confirms, and why a search ended early."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the columns; no trial of before confirms another one. The views are made anew after every upgrade."""
    json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    op.add_column("hpo_study", sa.Column("candidates", json))
    op.add_column("hpo_study", sa.Column("stop_reason", sa.Text))
    op.add_column("hpo_trial", sa.Column("posterior_sd", sa.Double))
    op.add_column("hpo_trial", sa.Column("prospect_gain", sa.Double))
    op.add_column("hpo_trial", sa.Column("prospect_noise", sa.Double))
    op.add_column("hpo_trial", sa.Column("confirms", sa.Integer))
    op.add_column("hpo_trial", sa.Column("confirmed_mean", sa.Double))
    op.add_column("hpo_trial", sa.Column("confirmed_sem", sa.Double))
    op.add_column("hpo_trial", sa.Column("confirmed_seeds", sa.Integer))
    op.add_column("hpo_trial", sa.Column("confirmed_failed", sa.Integer))
