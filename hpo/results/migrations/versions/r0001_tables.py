"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def _of_study(primary_key: bool) -> sa.Column[int]:
    target = sa.ForeignKey("studies.study_id", ondelete="CASCADE")
    return sa.Column("study_id", sa.Integer, target, primary_key=primary_key, nullable=False)


def _of_trial() -> sa.Column[int]:
    return sa.Column("trial_id", sa.Integer, sa.ForeignKey("trials.trial_id", ondelete="CASCADE"), primary_key=True)


def upgrade() -> None:
    """Makes every table of the first release."""
    _studies_and_trials()
    _measurements()
    _workers()


def _studies_and_trials() -> None:
    op.create_table(
        "hpo_study",
        _of_study(primary_key=True),
        sa.Column("metric", sa.String(64), nullable=False),
        sa.Column("config", _JSON, nullable=False),
        sa.Column("config_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("code_version", sa.String(64), nullable=False),
        sa.Column("task_descriptor", _JSON),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("ask_owner", sa.String(128)),
        sa.Column("ask_expires", sa.Double),
        sa.Column("ask_floor", sa.Integer, nullable=False),
    )
    op.create_table(
        "hpo_trial",
        _of_trial(),
        _of_study(primary_key=False),
        sa.Column("config", _JSON),
        sa.Column("seed", sa.BigInteger),
        sa.Column("host", sa.String(255)),
        sa.Column("device", sa.String(64)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("reason", sa.Text),
        sa.Column("objective_mean", sa.Double),
        sa.Column("objective_sem", sa.Double),
        sa.Column("posterior_mean", sa.Double),
        sa.Column("meta_iterations", sa.Integer),
        sa.Column("seconds", sa.Double),
        sa.Column("peak_memory_bytes", sa.BigInteger),
        sa.Column("checkpoint_uri", sa.Text),
        sa.Column("token", sa.Integer),
    )
    op.create_index("hpo_trial_by_study", "hpo_trial", ["study_id"])


def _measurements() -> None:
    op.create_table(
        "hpo_report",
        _of_trial(),
        sa.Column("meta_iteration", sa.Integer, primary_key=True),
        sa.Column("sem", sa.Double),
        sa.Column("seconds", sa.Double, nullable=False),
    )
    op.create_table(
        "hpo_adaptation",
        _of_trial(),
        sa.Column("split", sa.String(16), primary_key=True),
        sa.Column("inner_step", sa.Integer, primary_key=True),
        sa.Column("loss", sa.Double),
        sa.Column("loss_sem", sa.Double),
        sa.Column("accuracy", sa.Double),
        sa.Column("accuracy_sem", sa.Double),
        sa.Column("tasks", sa.Integer, nullable=False),
    )


def _workers() -> None:
    op.create_table(
        "hpo_lease",
        _of_trial(),
        sa.Column("worker_id", sa.String(128), nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
    )
    op.create_index("hpo_lease_by_worker", "hpo_lease", ["worker_id"])
    op.create_table(
        "hpo_worker",
        sa.Column("worker_id", sa.String(128), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("last_seen", sa.Double, nullable=False),
        sa.Column("trial_id", sa.Integer, sa.ForeignKey("trials.trial_id", ondelete="SET NULL")),
    )
