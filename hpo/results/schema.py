"""Tables: hpo's own, and of Optuna's the columns that hpo reads or joins.

Times are seconds since 1970 UTC by the database's clock (:mod:`hpo.results.clock`); Optuna's are naive UTC. The tables
are made by the migrations, of which these are the sum (tested). NaN is stored as NULL: SQLite has none.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Double,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

HPO_REVISION = "0007"  # of the newest migration
OPTUNA_REVISION = "v3.2.0.a"  # of Optuna's tables as they are in Optuna 5.0
HPO_VERSION_TABLE = "hpo_alembic_version"
OPTUNA_VERSION_TABLE = "alembic_version"

metadata = MetaData()
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
TrialStates = Enum("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING", name="trialstate")

studies = Table(
    "studies",
    metadata,
    Column("study_id", Integer, primary_key=True),
    Column("study_name", String(512), nullable=False),
)
study_directions = Table(
    "study_directions",
    metadata,
    Column("study_id", Integer, ForeignKey("studies.study_id"), nullable=False),
    Column("objective", Integer, nullable=False),
    Column("direction", Enum("NOT_SET", "MINIMIZE", "MAXIMIZE", name="studydirection"), nullable=False),
)
trials = Table(
    "trials",
    metadata,
    Column("trial_id", Integer, primary_key=True),
    Column("study_id", Integer, ForeignKey("studies.study_id")),
    Column("number", Integer),
    Column("state", TrialStates, nullable=False),
    Column("datetime_complete", DateTime),
)
trial_params = Table(
    "trial_params",
    metadata,
    Column("param_id", Integer, primary_key=True),
    Column("trial_id", Integer, ForeignKey("trials.trial_id")),
    Column("param_name", String(512)),
    Column("param_value", Double),
    Column("distribution_json", Text),
)
trial_user_attributes = Table(
    "trial_user_attributes",
    metadata,
    Column("trial_user_attribute_id", Integer, primary_key=True),
    Column("trial_id", Integer, ForeignKey("trials.trial_id")),
    Column("key", String(512)),
    Column("value_json", Text),
)
trial_intermediate_values = Table(
    "trial_intermediate_values",
    metadata,
    Column("trial_id", Integer, ForeignKey("trials.trial_id")),
    Column("step", Integer, nullable=False),
    Column("intermediate_value", Double),  # None where it was infinite or NaN
)


def _trial_id() -> Column[int]:
    return Column("trial_id", Integer, ForeignKey("trials.trial_id", ondelete="CASCADE"), primary_key=True)


hpo_study = Table(
    "hpo_study",
    metadata,
    Column("study_id", Integer, ForeignKey("studies.study_id", ondelete="CASCADE"), primary_key=True),
    Column("metric", String(64), nullable=False),
    Column("config", Json, nullable=False),
    Column("config_hash", String(64), nullable=False),
    Column("status", String(16), nullable=False),  # running, paused, stopped, done
    Column("priority", Integer, nullable=False),  # higher goes first
    Column("code_version", String(64), nullable=False),
    Column("task_descriptor", Json),
    Column("created", Double, nullable=False),
    Column("ask_owner", String(128)),  # who alone may ask for a new trial until ask_expires
    Column("ask_expires", Double),
    Column("ask_floor", Integer, nullable=False),  # the newest trial_id when the ask lock was taken
    Column("candidates", Json),  # numbers of the trials that are confirmed; None: not chosen yet
    Column("stop_reason", Text),  # why the search ended before its trials were used up
    Column("warm_start", Json),  # names of the studies whose trials are data of this one; None: of none
)
hpo_trial = Table(
    "hpo_trial",
    metadata,
    _trial_id(),
    Column("study_id", Integer, ForeignKey("studies.study_id", ondelete="CASCADE"), nullable=False),
    Column("config", Json),  # None: its worker died between asking and beginning
    Column("seed", BigInteger),
    Column("host", String(255)),
    Column("device", String(64)),
    Column("attempts", Integer, nullable=False),
    Column("outcome", String(16)),  # hpo.records.Outcome; None while it runs
    Column("reason", Text),
    Column("objective_mean", Double),
    Column("objective_sem", Double),
    Column("posterior_mean", Double),
    Column("meta_iterations", Integer),
    Column("seconds", Double),
    Column("peak_memory_bytes", BigInteger),
    Column("checkpoint_uri", Text),
    Column("token", Integer),  # of the attempt that recorded the outcome
    Column("gradients", String(16)),  # how derivatives were computed
    Column("posterior_sd", Double),
    Column("prospect_gain", Double),  # hpo.records.Prospect of when it was suggested; None where there was none
    Column("prospect_noise", Double),
    Column("confirms", Integer),  # number of the trial that this one repeats with another seed
    Column("confirmed_mean", Double),  # over the trials that repeat this one; None until all of the study have ended
    Column("confirmed_sem", Double),
    Column("confirmed_seeds", Integer),  # that gave a value
    Column("confirmed_failed", Integer),  # that gave none
    Column("objective_inner_steps", Integer),  # after which it was measured; None: as many as it was trained with
    Column("meta_parameters", BigInteger),  # numbers that were meta-learned
    Column("violated", Text),  # constraints of the study, in words; None: none
    Index("hpo_trial_by_study", "study_id"),
)
hpo_report = Table(
    "hpo_report",
    metadata,
    _trial_id(),
    Column("meta_iteration", Integer, primary_key=True),  # Optuna's step
    Column("sem", Double),
    Column("seconds", Double, nullable=False),
)
hpo_adaptation = Table(
    "hpo_adaptation",
    metadata,
    _trial_id(),
    Column("split", String(16), primary_key=True),
    Column("inner_step", Integer, primary_key=True),
    Column("loss", Double),
    Column("loss_sem", Double),
    Column("accuracy", Double),
    Column("accuracy_sem", Double),
    Column("tasks", Integer, nullable=False),
)
hpo_lease = Table(
    "hpo_lease",
    metadata,
    _trial_id(),
    Column("worker_id", String(128), nullable=False),
    Column("token", Integer, nullable=False),  # grows with every change of hands; writers must hold the newest
    Column("expires", Double, nullable=False),
    Index("hpo_lease_by_worker", "worker_id"),
)
hpo_worker = Table(
    "hpo_worker",
    metadata,
    Column("worker_id", String(128), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("device", String(64), nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("trial_id", Integer, ForeignKey("trials.trial_id", ondelete="SET NULL")),
)
hpo_remembered_task = Table(
    "hpo_remembered_task",
    metadata,
    Column("learner", String(64), primary_key=True),  # fingerprint of an exported learner's parameters
    Column("slot", Integer, primary_key=True),  # of its bank
    Column("content", LargeBinary, nullable=False),  # safetensors: descriptor, parameters, when it was last used
    Column("changed", Double, nullable=False),
)
